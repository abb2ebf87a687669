"""Feature extractors for the distances between sets of images, named so that a reader knows them.

FID, KID, precision and recall mean nothing without the network whose features they compare. With
``random`` weights nothing is downloaded; Naeem et al. (ICML 2020) argue for such embeddings where
images are far from ImageNet. ``imagenet`` fetches the library's weights, a path reads them from a
file, and :meth:`FeatureExtractor.from_classifier` takes a network trained on the training split.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import huggingface_hub
import timm
import torch
import torch.nn.functional as F
from huggingface_hub.errors import LocalEntryNotFoundError
from torch import Tensor, nn
from tqdm import tqdm

from frerec.calibration.rows import ImageRows, check_images
from frerec.classification import Classifier, PenultimateFeatures
from frerec.errors import ConfigError, DataError
from frerec.training_tools import derive_seed

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OWN_SCALE = (0.5,), (0.25,)  # [ours] mean and deviation of values: the classifiers' own
PROBES = 64  # [ours] drawn images that set the norms' statistics of a random network
PROBE_SIDE = 64  # [ours] of those images in pixels, where the extractor has no size of its own
PROBE_STREAM = 31  # stream of derive_seed
SMALLEST = 8  # [ours] pixels a side that features can be taken of
PATIENCE = 5.0  # seconds for the hub's first answer


class FeatureExtractor(nn.Module):
    """Images in [0, 1] to the input of a classifier's last linear layer; always in eval mode.

    Args:
        classifier: Any backbone with its normalisation of values.
        name: Everything that a reader of a figure must know of it.
        image_size: Images of another size are resized to this one in pixels (bilinear,
            anti-aliased); None takes every size as it comes.

    Raises:
        DataError: If the backbone has no linear layer.
    """

    def __init__(self, classifier: Classifier, *, name: str, image_size: int | None = None) -> None:
        super().__init__()
        self.features = PenultimateFeatures(classifier)
        self.name, self.image_size = name, image_size
        self.in_channels = int(classifier.hparams["in_channels"])

    @classmethod
    def from_classifier(cls, classifier: Classifier, *, name: str | None = None) -> Self:
        """Features of a classifier that was trained on the training split, at its image size.

        Args:
            classifier: Put into eval mode, otherwise left as it is.
            name: None says the backbone's name and that it was trained on the real images.
        """
        settings = classifier.hparams
        size = int(settings["image_size"])
        backbone = f"{settings['library']} {settings['name']}"
        name = f"{backbone}, trained on the real training images" if name is None else name
        return cls(classifier, name=f"{name}, {size} px", image_size=size)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002  (eval mode is all there is)
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of a batch.

        Args:
            images: float32 ``[B, C, H, W]`` in [0, 1]; C is the network's, or 1 where the network
                takes 3: grey is repeated.

        Returns:
            float32 ``[B, D]``, without gradients.

        Raises:
            DataError: If the channels do not fit or a feature is not finite.
        """
        if images.ndim != 4 or images.shape[1] not in {1, self.in_channels}:
            raise DataError(
                f"features of images {tuple(images.shape)}: expected [B, C, H, W] with "
                f"{self.in_channels} channels; set data.channels to that"
            )
        images = images.float().expand(-1, self.in_channels, -1, -1)
        size = self.image_size
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            if size is not None and images.shape[-2:] != (size, size):
                images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
            found: Tensor = self.features(images).float()
        if not bool(torch.isfinite(found).all()):
            raise DataError(f"features of {self.name}: not finite; choose other features.weights")
        return found


def build_extractor(
    *,
    library: str = "timm",
    name: str = "resnet18",
    weights: str | Path = "random",
    channels: int = 1,
    seed: int = 0,
    image_size: int | None = None,
) -> FeatureExtractor:
    """A feature extractor by name.

    Args:
        library: "timm" or "monai".
        name: Of the network in that library.
        weights: "random"; "imagenet" fetches the library's weights from its cache or the network;
            anything else is a file of weights (``.safetensors``, ``.pt``, ``.pth``, ``.ckpt``).
        channels: Of the images, 1 or 3. ImageNet's networks get grey repeated to 3.
        seed: Of random weights; the global generators are left alone.
        image_size: In pixels; images are resized to it. None takes images as they come, and with
            ImageNet weights the size that those were trained at.

    Raises:
        ConfigError: If the network is unknown or needs an ``image_size``, if that is below 8, or
            if the weights cannot be had or do not fit.
    """
    if image_size is not None and image_size < SMALLEST:
        raise ConfigError(
            f"features.image_size={image_size}: expected at least {SMALLEST} pixels, or null for"
            " images as they come"
        )
    random, imagenet = weights == "random", weights == "imagenet"
    size = _native_size(library, name, image_size, imagenet=imagenet)
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else OWN_SCALE
    try:
        with _hub_asked_once(imagenet and library == "timm"):
            classifier = Classifier(
                library=library,
                name=name,
                num_classes=2,
                in_channels=3 if imagenet else channels,
                image_size=size or PROBE_SIDE,
                pretrained=imagenet,
                checkpoint_path=None if random or imagenet else weights,
                seed=seed,
                mean=mean,
                std=std,
            )
    except ConfigError as error:
        raise ConfigError(_about_features(error, f"{library} {name}", imagenet=imagenet)) from error
    what = f"random weights (seed {seed})" if random else f"weights {Path(weights).name}"
    what = "ImageNet weights" if imagenet else what
    where = f"{size} px" if size else "images at their own size"
    if random:
        _settle(classifier.backbone, channels, size or PROBE_SIDE, seed)
    return FeatureExtractor(classifier, name=f"{library} {name}, {what}, {where}", image_size=size)


def extract(
    images: ImageRows,
    extractor: nn.Module,
    *,
    batch_size: int = 64,
    progress: bool = False,
    what: str = "images",
) -> Tensor:
    """Features of all images, a batch at a time on the extractor's device.

    Args:
        images: ``[N, C, H, W]`` in [0, 1].
        extractor: Maps images to features ``[B, D]``.
        batch_size: Images at once.
        progress: Show a progress bar.
        what: What the bar and messages call the images.

    Returns:
        float32 ``[N, D]``, on the CPU.

    Raises:
        DataError: If there are no images, or they are not finite floats in [0, 1].
    """
    if len(images) == 0:
        raise DataError(f"{what}: none to take features of; expected at least 1")
    weights = next(extractor.parameters(), None)
    device = torch.device("cpu") if weights is None else weights.device
    found = []
    starts = range(0, len(images), batch_size)
    for start in tqdm(starts, desc=f"features: {what}", unit="batch", disable=not progress):
        part = images[start : start + batch_size]
        check_images(part, what=what)
        with torch.no_grad():
            found.append(extractor(part.to(device, torch.float32)).float().cpu())
    return torch.cat(found)


def _native_size(library: str, name: str, size: int | None, *, imagenet: bool) -> int | None:
    """The size images are resized to; None where they stay as they are."""
    known = library == "timm" and timm.is_model(name)
    settings = timm.get_pretrained_cfg(name) if size is None and known else None
    if settings and imagenet:
        return int(settings.input_size[-1])
    if settings and settings.fixed_input_size:
        raise ConfigError(
            f"features.image_size=null: timm {name} takes images of one size only; set it, such as"
            f" {settings.input_size[-1]}"
        )
    return 224 if size is None and imagenet else size


@contextmanager
def _hub_asked_once(wanted: bool) -> Iterator[None]:
    """Where the hub of weights does not answer, have its cache alone asked.

    For each of its file names the hub's client tries for most of a minute to reach it.
    """
    constants = huggingface_hub.constants
    before = constants.HF_HUB_OFFLINE
    if wanted and not before:
        session = huggingface_hub.get_session()
        try:
            session.head(constants.ENDPOINT, timeout=PATIENCE)
        except Exception:  # of the client's HTTP library, whichever it is
            constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _about_features(error: ConfigError, network: str, *, imagenet: bool) -> str:
    """A classifier's message in the words of this group's keys."""
    if imagenet and "pretrained weights" in str(error):
        reason = (str(error.__cause__).splitlines() or ["no reason given"])[0][:160]
        if isinstance(error.__cause__, LocalEntryNotFoundError):
            reason = "they are not in the cache, and huggingface.co does not answer"
        return (
            f"features.weights=imagenet: those of {network} cannot be had ({reason}); set it to"
            " random or to a file of weights"
        )
    message = str(error).replace("classifier.checkpoint_path", "features.weights")
    return message.replace("data.image_size", "features.image_size").replace(
        "classifier", "features"
    )


def _settle(network: nn.Module, channels: int, size: int, seed: int) -> None:
    """Give a random network what training would have given it: live blocks and norms that fit.

    timm begins residual blocks with a last gain of zero, which would leave a network of a stem and
    a few projections, and fresh running statistics are those of no data: both make deep features
    alike for all images. The gains are set to one, and the statistics to those of drawn noise with
    power 1/f^2, the same for every data set [ours].
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over everything seen
        if norm.affine and not bool(norm.weight.any()):
            nn.init.ones_(norm.weight)
    network.train()
    # Drop-out and stochastic depth draw from the global generator.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(derive_seed(seed, PROBE_STREAM))
        network((_probes(channels, size) - 0.5) / 0.25)
    network.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _probes(channels: int, size: int) -> Tensor:
    """Noise whose power falls as 1/f^2, float32 ``[64, C, size, size]`` in [0, 1]."""
    noise = torch.fft.rfft2(torch.randn(PROBES, channels, size, size))
    radius = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    images = torch.fft.irfft2(noise / radius.clamp_min(1 / size), s=(size, size))
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    scaled: Tensor = (images - low) / (high - low)
    return scaled
