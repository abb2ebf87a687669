"""timm and MONAI backbones behind one function, with weights from a hub, a file, or none."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import monai.networks.nets as monai_nets
import timm
import torch
from safetensors.torch import load_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from frerec.errors import ConfigError
from frerec.training_tools import load_checkpoint

LIBRARIES = ("timm", "monai")
_WRAPPERS = ("module.", "model.", "backbone.", "net.", "encoder.")


def _densenet(name: str, *, num_classes: int, in_channels: int, pretrained: bool) -> nn.Module:
    build = getattr(monai_nets, name)
    network: nn.Module = build(
        spatial_dims=2, in_channels=in_channels, out_channels=num_classes, pretrained=pretrained
    )
    return network


def _resnet(name: str, *, num_classes: int, in_channels: int, pretrained: bool) -> nn.Module:
    if pretrained:
        raise ConfigError(
            f"classifier monai/{name}: MONAI has no two-dimensional weights for it; set"
            " classifier.pretrained=false, or classifier.checkpoint_path= to a file of weights"
        )
    # MONAI's default stride of 1 quadruples the cost of the usual two-dimensional ResNet.
    network: nn.Module = getattr(monai_nets, name)(
        spatial_dims=2, n_input_channels=in_channels, num_classes=num_classes, conv1_t_stride=2
    )
    return network


def _efficientnet(name: str, *, num_classes: int, in_channels: int, pretrained: bool) -> nn.Module:
    network: nn.Module = monai_nets.EfficientNetBN(
        name.removeprefix("EfficientNetBN-"),
        spatial_dims=2,
        in_channels=in_channels,
        num_classes=num_classes,
        pretrained=pretrained,
    )
    return network


MONAI_BACKBONES: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(_densenet, name) for name in ("DenseNet121", "DenseNet169", "DenseNet201")},
    **{name: partial(_resnet, name) for name in ("resnet10", "resnet18", "resnet34", "resnet50")},
    **{
        name: partial(_efficientnet, name)
        for name in ("EfficientNetBN-efficientnet-b0", "EfficientNetBN-efficientnet-b2")
    },
}


def create_backbone(
    library: str,
    name: str,
    *,
    num_classes: int,
    in_channels: int,
    image_size: int,
    pretrained: bool = False,
    checkpoint_path: str | Path | None = None,
) -> nn.Module:
    """Build a network that maps [B, in_channels, image_size, image_size] to logits [B, classes].

    Args:
        library: "timm" or "monai".
        name: A timm model name, or a key of ``MONAI_BACKBONES``.
        num_classes: Number of logits, at least 2.
        in_channels: 1 or 3. timm sums or repeats pretrained first layers to fit it.
        image_size: In pixels; vision transformers are built for this size.
        pretrained: Fetch the library's weights (from its cache or the network).
        checkpoint_path: A state dict as ``.safetensors``, ``.pt``, ``.pth`` or ``.ckpt``. A head
            for another number of classes is left out; a position embedding for another size is
            resampled. Overrides ``pretrained``.

    Raises:
        ConfigError: If the name is unknown, the weights cannot be had or do not fit, or the
            network cannot take images of this size.
    """
    if library not in LIBRARIES:
        raise ConfigError(f"classifier.library={library}: expected one of {', '.join(LIBRARIES)}")
    _check_name(library, name)
    if num_classes < 2:
        raise ConfigError(f"a classifier needs at least two classes, found {num_classes}")
    timm_build: Callable[..., nn.Module] = partial(_build_timm, name, image_size=image_size)
    build = timm_build if library == "timm" else MONAI_BACKBONES[name]
    fetch = pretrained and checkpoint_path is None
    try:
        network = build(num_classes=num_classes, in_channels=in_channels, pretrained=fetch)
    except ConfigError:
        raise
    except Exception as error:
        if fetch:
            raise ConfigError(
                f"classifier {library}/{name}: pretrained weights cannot be had"
                f" ({_first_line(error)}); set classifier.pretrained=false, or"
                " classifier.checkpoint_path= to a file of weights"
            ) from error
        raise ConfigError(
            f"classifier {library}/{name}: cannot be built for {in_channels} channels and"
            f" {image_size} px ({_first_line(error)}); choose another classifier.name"
        ) from error
    if checkpoint_path is not None:
        load_weights(network, Path(checkpoint_path), num_classes=num_classes)
    _check_size(network, f"{library}/{name}", in_channels, image_size, num_classes)
    return network


def _build_timm(
    name: str, *, num_classes: int, in_channels: int, pretrained: bool, image_size: int
) -> nn.Module:
    # Only networks with position embeddings need to know the size, and only they accept it.
    settings = timm.get_pretrained_cfg(name)
    sized = {"img_size": image_size} if settings and settings.fixed_input_size else {}
    network: nn.Module = timm.create_model(
        name, pretrained=pretrained, num_classes=num_classes, in_chans=in_channels, **sized
    )
    return network


def _check_name(library: str, name: str) -> None:
    if library == "monai":
        known, names = name in MONAI_BACKBONES, list(MONAI_BACKBONES)
    else:
        known = bool(timm.is_model(name))
        names = [] if known else list(timm.list_models())
    if known:
        return
    by_lower = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    hint = ", ".join(by_lower[match] for match in near) or "see timm.list_models()"
    raise ConfigError(f"classifier.name={name}: {library} has no such network; near: {hint}")


def _check_size(
    network: nn.Module, name: str, in_channels: int, image_size: int, num_classes: int
) -> None:
    """Run one black image, so that a size that does not fit fails here and not in training."""
    mode = network.training
    network.eval()
    try:
        with torch.no_grad():
            logits = network(torch.zeros(1, in_channels, image_size, image_size))
    except Exception as error:
        raise ConfigError(
            f"classifier {name}: cannot take images of {image_size} px ({_first_line(error)});"
            " choose another data.image_size or classifier.name"
        ) from error
    finally:
        network.train(mode)
    if tuple(logits.shape) != (1, num_classes):
        raise ConfigError(
            f"classifier {name}: expected {num_classes} logits, found shape {tuple(logits.shape)};"
            " choose another classifier.name"
        )


def load_weights(network: nn.Module, path: Path, *, num_classes: int) -> None:
    """Load a state dict into ``network``, leaving out a head for other classes.

    Raises:
        ConfigError: If the file cannot be read or does not fit; the message says where.
    """
    source = f"classifier.checkpoint_path={path}"
    if not path.is_file():
        raise ConfigError(f"{source}: no such file; give a .safetensors, .pt or .pth of weights")
    found = _read_state(path, source)
    own = network.state_dict()
    found = _unwrapped(found, own)
    _resample_positions(network, found, own)

    head = _head_keys(network, num_classes)
    for key in head:
        if key in found and found[key].shape != own[key].shape:
            del found[key]
    differing = [k for k in own if k in found and found[k].shape != own[k].shape]
    for key in differing:
        theirs, ours = found[key].shape, own[key].shape
        if len(theirs) == 4 and len(ours) == 4 and theirs[1] != ours[1] and ours[1] in (1, 3):
            raise ConfigError(
                f"{source}: made for images of {theirs[1]} channels, the data have {ours[1]}"
                f" ({key}); use weights for {ours[1]} channels or set data.channels={theirs[1]}"
            )
    # Running counts are no weights; old files lack them.
    missing = [
        k for k in own if k not in found and k not in head and not k.endswith("batches_tracked")
    ]
    if differing or missing:
        what = f"shapes differ at {differing[0]}" if differing else f"{missing[0]} is missing"
        raise ConfigError(
            f"{source}: not weights of this network ({len(differing)} of {len(own)} tensors"
            f" differ in shape, {len(missing)} are missing; {what}); check classifier.name"
        )
    network.load_state_dict({k: v for k, v in found.items() if k in own}, strict=False)


def _read_state(path: Path, source: str) -> dict[str, Tensor]:
    content: Mapping[str, Any]
    try:
        content = load_file(path) if path.suffix == ".safetensors" else load_checkpoint(path)
    except Exception as error:
        raise ConfigError(
            f"{source}: not readable as plain tensors ({_first_line(error)}); give a"
            " .safetensors, .pt or .pth that holds a state dict"
        ) from error
    for key in ("state_dict", "model_state_dict", "model"):
        inner: Any = content.get(key)
        if isinstance(inner, Mapping):
            content = inner
    state = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        raise ConfigError(f"{source}: holds no tensors; give a file with a state dict")
    return state


def _unwrapped(found: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Strip prefixes that trainers put before every name, as long as that makes names match."""
    best = found
    candidate = found
    for _ in range(3):
        prefix = next((p for p in _WRAPPERS if any(k.startswith(p) for k in candidate)), None)
        if prefix is None:
            break
        candidate = {
            k.removeprefix(prefix): v for k, v in candidate.items() if k.startswith(prefix)
        }
        if len(candidate.keys() & own.keys()) > len(best.keys() & own.keys()):
            best = candidate
    return dict(best)


def _resample_positions(
    network: nn.Module, found: dict[str, Tensor], own: Mapping[str, Tensor]
) -> None:
    key = "pos_embed"
    if key not in found or key not in own or found[key].shape == own[key].shape:
        return
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if grid is None or found[key].ndim != 3 or found[key].shape[2] != own[key].shape[2]:
        return
    prefix = int(getattr(network, "num_prefix_tokens", 1))
    found[key] = resample_abs_pos_embed(found[key], list(grid), num_prefix_tokens=prefix)


def _head_keys(network: nn.Module, num_classes: int) -> list[str]:
    """Names of the last linear layer's tensors, if it makes the logits."""
    layers = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)]
    if not layers or layers[-1][1].out_features != num_classes:
        return []
    return [f"{layers[-1][0]}.{part}" for part in ("weight", "bias")]


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]
