"""How good a generator is: its samples against the real training images, and the floor of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from tqdm import tqdm

from frerec.calibration.rows import ImageRows, Selection, check_images, chunks
from frerec.errors import ConfigError, DataError
from frerec.evaluation.feature_distances import (
    NEIGHBOURS,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from frerec.evaluation.features import FeatureExtractor, extract
from frerec.evaluation.spectral_detector import held_out_scores, too_few
from frerec.spectral import radial_log_power, radial_power, ring_radius
from frerec.spectral.distance import distance_of_mean_power

FEWEST_A_CLASS = 50  # [ours] images of both sets that a class needs for figures of its own

Names = Sequence[Any] | NDArray[Any]  # of patients or classes, by image


@dataclass(frozen=True)
class SetDistance:
    """The distance of two sets of images.

    Attributes:
        fid, kid, kid_std: see :mod:`frerec.evaluation.feature_distances`.
        precision, recall: in [0, 1]; None with three images or fewer.
        lsd_db, lsd_high_db: log-spectral distance in dB, of the full band and of rho >= 0.5.
        detector_auc: of the linear spectral detector, 0.5 is ideal; None with too few images.
        n_real, n_synthetic: images; FID, precision and recall depend on them.
    """

    fid: float
    kid: float
    kid_std: float
    precision: float | None
    recall: float | None
    lsd_db: float
    lsd_high_db: float
    detector_auc: float | None
    n_real: int
    n_synthetic: int


@dataclass(frozen=True)
class GenerativeQuality(SetDistance):
    """All samples against all real images, and what these figures are to be read against.

    Attributes:
        features: name of the extractor.
        floor: one half of the real images against the other, no patient in both: what no
            difference looks like. None where the patients cannot be halved.
        matched: samples against one of these halves, of the floor's sizes: compare these two.
        classes: by class, where both sets have at least 50 images of it.
        warnings: one line each.
    """

    features: str = ""
    floor: SetDistance | None = None
    matched: SetDistance | None = None
    classes: dict[str, SetDistance] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON takes them."""
        return asdict(self) | {"warnings": list(self.warnings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What :meth:`to_dict` gave."""
        parts: dict[str, Any] = {
            "classes": {name: SetDistance(**kept) for name, kept in values["classes"].items()},
            "warnings": tuple(values["warnings"]),
        }
        for key in ("floor", "matched"):
            parts[key] = None if values[key] is None else SetDistance(**values[key])
        return cls(**{**values, **parts})


@dataclass(frozen=True)
class _Measured:
    """A set of N images: features ``[N, D]``, radial power ``[N, R]``, detector input, groups."""

    features: Tensor
    power: Tensor
    log_power: NDArray[np.float64]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: NDArray[np.int64]) -> _Measured:
        return _Measured(
            self.features[rows], self.power[rows], self.log_power[rows], self.groups[rows]
        )


def measure_quality(
    real: ImageRows,
    synthetic: ImageRows,
    extractor: FeatureExtractor,
    *,
    groups: Names | None = None,
    labels: tuple[Names, Names] | None = None,
    limit: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> GenerativeQuality:
    """Compare samples with the real training images; never with test images.

    Args:
        real: The generator's training images ``[N, C, H, W]`` in [0, 1].
        synthetic: Samples ``[M, C, H, W]``, the same C, H, W.
        extractor: Of the features; its name is part of the result.
        groups: Patient of each real image, or None where every image is its own.
        labels: Classes of the real images and of the samples, for figures by class.
        limit: At most so many images of each set, drawn at random; None takes all.
        seed: Of that draw, of the halves and of KID's subsets.
        progress: Show progress bars.

    Raises:
        DataError: If a set has fewer than 2 images or sizes differ.
        ConfigError: If the limit is below 2.
    """
    if min(len(real), len(synthetic)) < 2:
        raise DataError(
            f"quality: {len(real)} real and {len(synthetic)} synthetic images; expected at least 2"
            " of each"
        )
    if tuple(real.shape[1:]) != tuple(synthetic.shape[1:]):
        raise DataError(
            f"quality: real images of shape {tuple(real.shape[1:])}, samples of "
            f"{tuple(synthetic.shape[1:])}; expected the same [C, H, W]"
        )
    radius = ring_radius(int(real.shape[-2]), int(real.shape[-1]))
    patients = _codes(groups, len(real))
    classes = _class_names(labels, len(real), len(synthetic))
    if limit is not None:
        rows = [_drawn(len(of_set), limit, seed) for of_set in (real, synthetic)]
        real, synthetic = Selection(real, rows[0]), Selection(synthetic, rows[1])
        patients = patients[rows[0].numpy()]
        classes = [of_set[row.numpy()] for of_set, row in zip(classes, rows, strict=False)]
    own = patients.max() + 1 + np.arange(len(synthetic))
    a = _measure(real, extractor, patients, "real", progress)
    b = _measure(synthetic, extractor, own, "synthetic", progress)
    warnings = [] if groups is not None else ["no patients given: the floor may be too low"]
    if min(len(a), len(b)) <= a.features.shape[1]:
        warnings.append(
            f"FID of {min(len(a), len(b))} images in {a.features.shape[1]} features is unreliable;"
            " read KID"
        )
    first, second = patient_halves(patients, seed)
    size = min(len(first), len(second), len(b))
    floor = matched = None
    if size < 2:
        warnings.append("no floor: the real images' patients cannot be halved")
    else:
        rng = np.random.default_rng(seed)
        first, second = rng.permutation(first)[:size], rng.permutation(second)[:size]
        drawn = rng.permutation(len(b))[:size]
        floor = _distance(a[first], a[second], radius, seed)
        matched = _distance(a[first], b[drawn], radius, seed)
    return GenerativeQuality(
        **vars(_distance(a, b, radius, seed)),
        features=extractor.name,
        floor=floor,
        matched=matched,
        classes=_by_class(a, b, classes, radius, seed),
        warnings=tuple(warnings),
    )


def patient_halves(
    patients: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of two halves with no patient in both, as equal as drawing patients in turn makes them.

    Args:
        patients: int ``[N]``, equal for images of one patient.
        seed: Of the order of the patients.
    """
    codes, counts = np.unique(patients, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(codes))
    sizes = [0, 0]
    halves: tuple[list[int], list[int]] = ([], [])
    for k in order[np.argsort(-counts[order], kind="stable")]:
        smaller = int(sizes[1] < sizes[0])
        sizes[smaller] += int(counts[k])
        halves[smaller].append(int(codes[k]))
    first, second = (np.flatnonzero(np.isin(patients, half)) for half in halves)
    return first, second


def _measure(
    images: ImageRows,
    extractor: FeatureExtractor,
    groups: NDArray[np.int64],
    what: str,
    progress: bool,
) -> _Measured:
    features, power, log_power = [], [], []
    with tqdm(total=len(images), desc=what, unit="image", disable=not progress) as bar:
        for part in chunks(images):
            check_images(part, what=f"{what} images")
            features.append(extract(part, extractor, what=what).double())
            power.append(radial_power(part).mean(1))
            log_power.append(radial_log_power(part).flatten(1))
            bar.update(len(part))
    spectra = torch.cat(log_power).numpy()
    return _Measured(torch.cat(features), torch.cat(power), spectra, groups)


def _distance(real: _Measured, synthetic: _Measured, radius: Tensor, seed: int) -> SetDistance:
    kid, kid_std = kernel_distance(real.features, synthetic.features, seed=seed)
    precision = recall = None
    if min(len(real), len(synthetic)) > NEIGHBOURS:
        precision, recall = precision_recall(real.features, synthetic.features)
    means = real.power.mean(0), synthetic.power.mean(0)
    return SetDistance(
        fid=frechet_distance(real.features, synthetic.features),
        kid=kid,
        kid_std=kid_std,
        precision=precision,
        recall=recall,
        lsd_db=distance_of_mean_power(*means, radius),
        lsd_high_db=distance_of_mean_power(*means, radius, minimum_radius=0.5),
        detector_auc=_detector(real, synthetic),
        n_real=len(real),
        n_synthetic=len(synthetic),
    )


def _detector(real: _Measured, synthetic: _Measured) -> float | None:
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    groups = np.concatenate([real.groups, synthetic.groups])
    if too_few(labels, groups) is not None:
        return None
    features = np.concatenate([real.log_power, synthetic.log_power])
    scores = held_out_scores(features, {"": features}, labels, groups)[""]
    return float(roc_auc_score(labels, scores))


def _by_class(
    real: _Measured,
    synthetic: _Measured,
    names: list[NDArray[np.str_]],
    radius: Tensor,
    seed: int,
) -> dict[str, SetDistance]:
    found = {}
    for name in np.unique(names[0]) if names else ():
        rows = [np.flatnonzero(of_set == name) for of_set in names]
        if min(map(len, rows)) >= FEWEST_A_CLASS:
            found[str(name)] = _distance(real[rows[0]], synthetic[rows[1]], radius, seed)
    return found


def _codes(groups: Names | None, count: int) -> NDArray[np.int64]:
    names = np.arange(count) if groups is None else np.asarray(groups)
    if len(names) != count:
        raise DataError(f"quality: {len(names)} groups for {count} real images")
    codes: NDArray[np.int64] = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return codes


def _class_names(
    labels: tuple[Names, Names] | None, n_real: int, n_synthetic: int
) -> list[NDArray[np.str_]]:
    names = [np.asarray(of_set).astype(str) for of_set in labels or ()]
    if labels is not None and [len(of_set) for of_set in names] != [n_real, n_synthetic]:
        raise DataError(
            f"quality: {len(names[0])} and {len(names[1])} labels for {n_real} real and "
            f"{n_synthetic} synthetic images"
        )
    return names


def _drawn(count: int, limit: int, seed: int) -> Tensor:
    """Row numbers, int64 of at most ``limit``, in order."""
    if limit < 2:
        raise ConfigError(f"quality.limit={limit}: expected at least 2, or null for all images")
    return torch.from_numpy(np.sort(np.random.default_rng(seed).permutation(count)[:limit]))
