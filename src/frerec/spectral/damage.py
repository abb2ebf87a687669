"""Known damage to the high band of real images: right content, wrong frequencies.

The three ways in which generators miss the high band, each in a dose from 0 (untouched) to 1. The
damaged images are samples of an oracle generator: their clean truth is known, and nothing but the
high band is wrong with them [ours].
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from frerec.errors import ConfigError
from frerec.spectral.bands import high_frequency_mask
from frerec.spectral.transform import forward_fft, inverse_fft

DamageKind = Literal["attenuation", "checkerboard", "noise"]
CHECKERBOARD = 0.2  # amplitude of the full dose's pattern, as a fraction of the image's


def attenuate(images: Tensor, dose: float, *, ratio: float = 0.5) -> Tensor:
    """The high band times 1 - dose: a generator that blurs.

    Args:
        images: ``[B, C, H, W]`` in [0, 1].
        dose: In [0, 1].
        ratio: Radius of the low band as a fraction of the Nyquist radius.
    """
    mask = _high_band(images, ratio)
    spectrum = forward_fft(images)
    return inverse_fft(spectrum * (1 - dose * mask), *images.shape[-2:]).clamp(0, 1)


def checkerboard(images: Tensor, dose: float, *, ratio: float = 0.5) -> Tensor:
    """Adds the high band of 0.2 dose x (-1)^(i + j): what strided upsampling leaves.

    The product shifts the image's spectrum by the Nyquist frequency in both directions, as
    inserting zeros between pixels does (Odena et al., Distill 2016).
    """
    height, width = images.shape[-2:]
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    sign = (1 - 2 * ((rows + columns) % 2)).to(images)
    return _add_high(images, CHECKERBOARD * dose * images * sign, ratio)


def noise_floor(images: Tensor, dose: float, noise: Tensor, *, ratio: float = 0.5) -> Tensor:
    """Adds the high band of white noise, at full dose as strong as the image's own high band.

    Args:
        images: ``[B, C, H, W]`` in [0, 1].
        dose: In [0, 1].
        noise: Standard normal, the same shape.
        ratio: Radius of the low band as a fraction of the Nyquist radius.
    """
    size = images.shape[-2:]
    mask = _high_band(images, ratio)
    own = inverse_fft(forward_fft(images) * mask, *size).square().mean((-2, -1), keepdim=True)
    other = inverse_fft(forward_fft(noise) * mask, *size).square().mean((-2, -1), keepdim=True)
    return _add_high(images, dose * noise * (own / other.clamp_min(1e-12)).sqrt(), ratio)


def _high_band(images: Tensor, ratio: float) -> Tensor:
    height, width = images.shape[-2:]
    return high_frequency_mask(height, width, ratio).to(images.device)


def _add_high(images: Tensor, extra: Tensor, ratio: float) -> Tensor:
    size = images.shape[-2:]
    mask = _high_band(images, ratio)
    return (images + inverse_fft(forward_fft(extra) * mask, *size)).clamp(0, 1)


def damage(
    images: Tensor, kind: DamageKind, dose: float, *, noise: Tensor, ratio: float = 0.5
) -> Tensor:
    """One of the three; ``noise`` standard normal of the images' shape, for ``kind="noise"``.

    Raises:
        ConfigError: If the dose is outside [0, 1] or the kind unknown.
    """
    if not 0.0 <= dose <= 1.0:
        raise ConfigError(f"dose={dose}: expected a number in [0, 1]")
    kinds: dict[str, Callable[[], Tensor]] = {
        "attenuation": lambda: attenuate(images, dose, ratio=ratio),
        "checkerboard": lambda: checkerboard(images, dose, ratio=ratio),
        "noise": lambda: noise_floor(images, dose, noise, ratio=ratio),
    }
    if kind not in kinds:
        raise ConfigError(f"damage={kind}: expected one of {', '.join(kinds)}")
    return kinds[kind]()
