"""Draw seeded phantoms: which images belong to whom, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frerec.data.phantoms import brain, chest, fundus
from frerec.data.phantoms.streams import Array, Draws
from frerec.errors import ConfigError

MINIMUM_SIZE = 32
_CHUNK_PIXELS = 2**19  # pixels rendered at once: some tens of float32 maps of 2 MiB

Renderer = Callable[[Array, Draws, Draws, int], tuple[Array, dict[str, Array]]]


@dataclass(frozen=True)
class Phantom:
    """One modality: its classes (the negative one first), its channels and how it is drawn."""

    classes: tuple[str, str]
    channels: int
    code: int  # part of every random key, so that modalities do not share patients
    render: Renderer = field(repr=False)


PHANTOMS: dict[str, Phantom] = {
    "brain_mri": Phantom(brain.CLASSES, brain.CHANNELS, 1, brain.render),
    "chest_xray": Phantom(chest.CLASSES, chest.CHANNELS, 2, chest.render),
    "fundus": Phantom(fundus.CLASSES, fundus.CHANNELS, 3, fundus.render),
}


@dataclass(frozen=True)
class PhantomSet:
    """Drawn images with what is known about them.

    Attributes:
        images: float32 `[N, C, H, W]` in [0, 1].
        labels: int64 `[N]`, 1 for the finding; the two counts differ by one at most.
        patients: int64 `[N]`, equal for the images of one patient.
        drawn: the quantities behind the labels, float32 `[N]` each: `cardiothoracic_ratio`
            (chest_xray); `lesion_radius`, `lesion_contrast` (brain_mri); `microaneurysms`,
            `exudates` (fundus, counts).
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    patients: NDArray[np.int64]
    drawn: dict[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.images)


def draw_phantoms(
    modality: str, count: int, *, size: int = 64, seed: int = 0, images_per_patient: int = 1
) -> PhantomSet:
    """Draw `count` images of a modality.

    Image i depends on `seed`, `size`, `images_per_patient` and i alone: drawing more images
    leaves the first ones as they were. The anatomy is the same at every size; noise and the
    finest texture are not.

    Args:
        modality: a key of `PHANTOMS`.
        count: number of images, at least 1.
        size: image side in pixels, at least 32.
        seed: not negative.
        images_per_patient: images of one patient share anatomy and label and differ in pose
            and noise.

    Raises:
        ConfigError: an unknown modality, or a number out of range.
    """
    parts = list(
        iter_phantoms(modality, count, size=size, seed=seed, images_per_patient=images_per_patient)
    )
    return PhantomSet(
        images=np.concatenate([p.images for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        patients=np.concatenate([p.patients for p in parts]),
        drawn={k: np.concatenate([p.drawn[k] for p in parts]) for k in parts[0].drawn},
    )


def iter_phantoms(
    modality: str, count: int, *, size: int = 64, seed: int = 0, images_per_patient: int = 1
) -> Iterator[PhantomSet]:
    """The same as `draw_phantoms`, chunk after chunk; arguments are checked at the call."""
    if modality not in PHANTOMS:
        raise ConfigError(f"phantom modality {modality!r} is unknown: use {', '.join(PHANTOMS)}")
    for key, value, least in (
        ("count", count, 1),
        ("size", size, MINIMUM_SIZE),
        ("seed", seed, 0),
        ("images_per_patient", images_per_patient, 1),
    ):
        _require_at_least(key, value, least)
    return _chunks(PHANTOMS[modality], count, size, seed, images_per_patient)


def _require_at_least(key: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigError(
            f"phantom {key} must be a whole number of at least {least}, found {value!r}"
        )


def _chunks(
    phantom: Phantom, count: int, size: int, seed: int, images_per_patient: int
) -> Iterator[PhantomSet]:
    step = max(1, _CHUNK_PIXELS // size**2)
    for first in range(0, count, step):
        rows = np.arange(first, min(first + step, count))
        patients, visits, labels = _assign(rows, phantom.code, seed, images_per_patient)
        anatomy = Draws([(seed, phantom.code, 0, int(p)) for p in patients])
        acquisition = Draws(
            [(seed, phantom.code, 1, int(p), int(v)) for p, v in zip(patients, visits, strict=True)]
        )
        images, drawn = phantom.render(labels.astype(np.float32), anatomy, acquisition, size)
        yield PhantomSet(
            images=np.ascontiguousarray(images, dtype=np.float32),
            labels=labels,
            patients=patients,
            drawn={key: np.asarray(value, dtype=np.float32) for key, value in drawn.items()},
        )


def _assign(
    rows: NDArray[np.int64], code: int, seed: int, images_per_patient: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Patient, visit and label of each row.

    Patients come in pairs, one with the finding (a coin says which). Rows come in twos, one of
    each of the pair in an order of their own, so every prefix is balanced to within one.
    """
    pair, within = np.divmod(rows, 2 * images_per_patient)
    visit, second = np.divmod(within, 2)

    def coin(*key: int) -> int:
        return int(np.random.SeedSequence((seed, code, *key)).generate_state(1)[0] & 1)

    swap = np.array([coin(2, p, v) for p, v in zip(pair.tolist(), visit.tolist(), strict=True)])
    side = second ^ swap
    sick = np.array([coin(3, p) for p in pair.tolist()])
    return 2 * pair + side, visit, (side == sick).astype(np.int64)
