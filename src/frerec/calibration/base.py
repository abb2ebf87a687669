"""The calibrator contract: fit on real images, map any image, save and load without pickle."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from frerec.errors import ConfigError, DataError

Groups = Sequence[int] | Sequence[str] | Tensor | None
CONFIG_FILE = "calibrator.json"
WEIGHTS_FILE = "calibrator.safetensors"
FORMAT_VERSION = 1


class Calibrator(nn.Module, ABC):
    """Maps images to images of the same shape and range, after a fit on real training images.

    A calibrator sees real images of the training split only, and never a label. Subclasses keep
    their state in registered buffers and parameters, and their arguments in :meth:`config`.
    """

    name: ClassVar[str]
    _registry: ClassVar[dict[str, type["Calibrator"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Calibrator._registry[cls.name] = cls

    @abstractmethod
    def fit(self, images: Tensor, groups: Groups = None) -> Self:
        """Learn from real training images.

        Args:
            images: ``[N, C, H, W]`` in [0, 1].
            groups: A patient number or id per image; None treats every image as its own patient.
        """

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Calibrate ``[B, C, H, W]`` in [0, 1]; the same shape and range come back."""

    def transform(self, images: Tensor) -> Tensor:
        """Calibrate for inference, in evaluation mode and without gradients."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                result: Tensor = self(images)
        finally:
            self.train(training)
        return result

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments as plain values that JSON can hold."""

    @property
    def input_shape(self) -> tuple[int, int, int] | None:
        """``(C, H, W)`` of the images that it takes; None where it takes any."""
        return None

    def prepare_for_state(self, state: dict[str, Tensor]) -> None:
        """Make room for buffers whose size is known only after a fit, before a state is loaded."""

    def save(self, directory: str | Path) -> None:
        """Write ``calibrator.json`` and ``calibrator.safetensors`` into ``directory``."""
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        state = {key: value.contiguous() for key, value in self.state_dict().items()}
        weights = directory / (WEIGHTS_FILE + ".partial")
        save_file(state, weights)
        weights.replace(directory / WEIGHTS_FILE)
        text = {"format": FORMAT_VERSION, "calibrator": self.name, "config": self.config()}
        partial = directory / (CONFIG_FILE + ".partial")
        partial.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
        partial.replace(directory / CONFIG_FILE)  # last: its presence says the model is whole

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read a calibrator that :meth:`save` wrote.

        Raises:
            DataError: If the folder holds no calibrator, or one of another class.
        """
        found = load_calibrator(directory)
        if not isinstance(found, cls):
            raise DataError(f"{directory}: holds a {found.name} calibrator, not {cls.__name__}")
        return found


def load_calibrator(directory: str | Path) -> Calibrator:
    """Read any calibrator from its folder, in evaluation mode.

    Raises:
        DataError: If the folder holds no complete calibrator of a known class and format.
    """
    directory = Path(directory)
    config_path, weights_path = directory / CONFIG_FILE, directory / WEIGHTS_FILE
    for path in (config_path, weights_path):
        if not path.is_file():
            raise DataError(
                f"{directory}: no calibrator here ({path.name} is missing); "
                "expected a folder that `frerec fit out=DIR` wrote"
            )
    try:
        text = json.loads(config_path.read_text())
        kind, version, config = text["calibrator"], text["format"], text["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{config_path}: not a calibrator's description ({error})") from error
    if version != FORMAT_VERSION or kind not in Calibrator._registry:
        raise DataError(
            f"{config_path}: calibrator {kind!r} of format {version}: this version reads "
            f"{', '.join(sorted(Calibrator._registry))} of format {FORMAT_VERSION}"
        )
    try:
        state = load_file(weights_path)
    except Exception as error:
        raise DataError(f"{weights_path}: unreadable ({error}); fit the model again") from error
    try:
        calibrator = Calibrator._registry[kind](**config)
        calibrator.prepare_for_state(state)
        calibrator.load_state_dict(state)
    except (RuntimeError, TypeError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise DataError(f"{directory}: weights and description do not match ({first})") from error
    return calibrator.eval()


def check_images(images: Tensor, *, what: str = "images") -> None:
    """The door of every calibrator.

    Raises:
        DataError: If ``images`` is not a finite float ``[B, 1 or 3, H, W]`` tensor in [0, 1].
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise DataError(f"{what} of shape {tuple(images.shape)}: expected [B, 1 or 3, H, W]")
    if not images.is_floating_point():
        raise DataError(f"{what} of type {images.dtype}: expected float values in [0, 1]")
    if images.numel() == 0:
        return
    low, high = images.aminmax()
    if not (torch.isfinite(low) and torch.isfinite(high)):
        raise DataError(f"{what}: NaN or infinite values; expected [0, 1]")
    if low < -1e-4 or high > 1 + 1e-4:
        raise DataError(f"{what}: values from {low:.4g} to {high:.4g}; expected [0, 1]")


def group_codes(groups: Groups, count: int) -> Tensor:
    """Patients as numbers: int64 ``[count]``, equal where the patient is equal.

    Raises:
        ConfigError: If there is not one group per image.
    """
    if groups is None:
        return torch.arange(count)
    names = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    if len(names) != count:
        raise ConfigError(f"groups: {len(names)} given for {count} images")
    codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([codes[name] for name in names], dtype=torch.long)
