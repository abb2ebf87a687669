"""Training augmentation for each modality, from MONAI's transforms.

[ours] throughout; the paper names none. Affine transforms interpolate and so lower the high
frequencies of the images they touch, which test images keep: they are bicubic and leave every
second image alone. Flips and quarter turns are exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.data.meta_obj import get_track_meta, set_track_meta
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffine,
    RandFlip,
    RandRotate90,
    RandScaleIntensity,
    RandShiftIntensity,
)
from torch import Tensor

from frerec.errors import ConfigError

MODALITIES = ("brain_mri", "chest_xray", "fundus")


class Augmentation:
    """Random MONAI transforms of one image, with randomness that follows `torch.manual_seed`.

    Each call draws one seed from torch's global generator and gives it to every transform. The
    DataLoader seeds that generator differently for each worker and each epoch, from the main
    process's, so that workers do not repeat one another and a run is repeated by
    `torch.manual_seed(seed)` (or a seeded `generator=` of the DataLoader) and the same
    number of workers.
    """

    def __init__(self, steps: Sequence[Any]) -> None:
        self._state = np.random.RandomState(0)
        self._compose = Compose(list(steps))
        for step in steps:
            step.set_random_state(state=self._state)

    def __call__(self, image: Tensor) -> Tensor:
        """Augment [C, H, W] float in [0, 1]; shape, dtype and range are kept."""
        self._state.seed(int(torch.randint(2**31 - 1, ())))
        tracking = get_track_meta()
        threads = torch.get_num_threads()
        set_track_meta(False)  # faster, and plain tensors come out
        torch.set_num_threads(1)  # on a busy machine, threads wait ten times as long as one works
        try:
            return torch.as_tensor(self._compose(image), dtype=image.dtype).clamp(0, 1)
        finally:
            set_track_meta(tracking)
            torch.set_num_threads(threads)


def training_augmentation(modality: str, *, horizontal_flip: bool | None = None) -> Augmentation:
    """The augmentation of a modality.

    Args:
        modality: `brain_mri` (horizontal flip, small affine, slight intensity), `chest_xray`
            (small affine, intensity; no flip, since the heart has a side) or `fundus` (both flips,
            quarter turns, any rotation).
        horizontal_flip: overrides the modality's choice.

    Raises:
        ConfigError: another modality.
    """
    if modality not in MODALITIES:
        raise ConfigError(f"data.modality={modality}: expected one of {', '.join(MODALITIES)}")
    flip = modality != "chest_xray" if horizontal_flip is None else horizontal_flip
    steps: list[Any] = [RandFlip(prob=0.5, spatial_axis=1)] if flip else []
    if modality == "brain_mri":
        steps += [_affine(10, 0.05, "zeros"), *_intensity(0.05)]
    elif modality == "chest_xray":
        steps += [_affine(7, 0.08, "border"), *_intensity(0.1)]
    else:
        steps += [
            RandFlip(prob=0.5, spatial_axis=0),
            _QuarterTurns(prob=0.5, max_k=3),
            _affine(180, 0.05, "zeros"),
            *_intensity(0.1),
        ]
    return Augmentation(steps)


class _QuarterTurns(RandRotate90):  # type: ignore[misc]
    """RandRotate90 for square images; others, whose shape it would change, pass through."""

    def __call__(self, img: Tensor, *args: Any, **settings: Any) -> Any:
        return super().__call__(img, *args, **settings) if img.shape[1] == img.shape[2] else img


class _FractionalAffine(RandAffine):  # type: ignore[misc]
    """RandAffine whose shift is a fraction of the image's size rather than pixels."""

    def __init__(self, shift: float, **settings: Any) -> None:
        super().__init__(translate_range=(0.0, 0.0), **settings)
        self.shift = shift

    def __call__(self, img: Tensor, *args: Any, **settings: Any) -> Any:
        pixels = [self.shift * n for n in img.shape[1:]]
        self.rand_affine_grid.translate_range = tuple(pixels)
        return super().__call__(img, *args, **settings)


def _affine(degrees: float, fraction: float, padding: str) -> Any:
    """A rotation, shift and scaling by up to these amounts, for every second image."""
    return _FractionalAffine(
        fraction,
        prob=0.5,
        rotate_range=(np.deg2rad(degrees),),
        scale_range=(fraction, fraction),
        mode="bicubic",
        padding_mode=padding,
    )


def _intensity(amount: float) -> list[Any]:
    """Brightness, offset and gamma changed by up to this fraction."""
    return [
        RandScaleIntensity(factors=amount, prob=0.5),
        RandShiftIntensity(offsets=amount / 2, prob=0.5),
        RandAdjustContrast(prob=0.5, gamma=(1 - 2 * amount, 1 + 2 * amount)),
    ]
