"""Does a generator repeat its training images? Each sample against its nearest training image.

Two distances: 1 - SSIM (Wang et al., IEEE TIP 2004), and the Euclidean distance of features of unit
length, which orders pairs as the cosine does. Both are of images reduced to 32 pixels [ours]: a
copy whose high band the generator damaged is a copy. What is judged is not the distance itself,
which blur makes small to everything, but how much nearer the nearest image is than the next ones of
other patients: ``ratio = d(1) / mean(d(2), ..., d(10))`` [ours]. Thresholds come from the training
images themselves, each against those of all other patients, less the near-duplicates among them.

Measured on planted copies and fresh chest X-rays at 64 px (`experiments/memorisation`): it flags at
most one in a hundred of fresh images, blurred or not, and finds copies that were compressed,
blurred, shifted by a pixel or damaged in their high band.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from frerec.calibration.rows import ImageRows, check_rows
from frerec.calibration.similarity import WINDOW
from frerec.errors import ConfigError, DataError
from frerec.samples.nearest import SIDE, Nearest, compared_views, nearest_members
from frerec.training_tools import write_json

Rule = Literal["both", "either", "ssim", "features"]
RULES: tuple[Rule, ...] = get_args(Rule)
DUPLICATE = 0.3  # [ours] training images of a smaller SSIM ratio are near-duplicates of another's
TABLE, SUMMARY = "memorisation.parquet", "memorisation.json"


@dataclass(frozen=True)
class Memorisation:
    """What was found.

    Attributes:
        table: a row a sample: ``sample`` its number; ``ssim_row`` the nearest training image by
            SSIM, ``ssim`` of the two at 32 pixels, ``ssim_ratio``; ``feature_row``,
            ``feature_distance`` in [0, 2], ``feature_ratio``; ``ssim_mirrored`` and
            ``feature_mirrored`` where it is the mirrored sample that is near; ``flagged``.
        thresholds: by ``ssim`` and ``features``: a ratio below it is suspicious.
        quantile: share of the training images (less their near-duplicates) with a ratio below each
            threshold.
        rule: which of the two must be suspicious.
        real_flagged: share of the training images, less their near-duplicates, that the same rule
            flags: that of false alarms among samples that copy nothing.
        real_duplicates: training images left out of the calibration, because another patient's is
            nearly the same: no threshold could tell copies from those.
        mirrored, shift: what else of a sample was compared.
        n_real, n_groups: training images and their patients.
        features: name of the extractor.
    """

    table: pd.DataFrame
    thresholds: dict[str, float]
    quantile: float
    rule: Rule
    real_flagged: float
    real_duplicates: int
    mirrored: bool
    shift: int
    n_real: int
    n_groups: int
    features: str

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which samples look like copies, ``[M]``."""
        return self.table["flagged"].to_numpy(dtype=bool)

    def summary(self) -> dict[str, Any]:
        """Everything but the table, and the counts; plain values."""
        plain = {k: v for k, v in vars(self).items() if k != "table"}
        expected = self.real_flagged * len(self.table)
        return plain | {
            "n_samples": len(self.table),
            "n_flagged": int(self.flagged.sum()),
            "expected_false_alarms": expected,
        }

    def save(self, directory: Path) -> None:
        """Write ``memorisation.parquet`` and ``memorisation.json``, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / f"{TABLE}.partial"
        self.table.to_parquet(partial, index=False)
        partial.replace(directory / TABLE)
        write_json(directory / SUMMARY, self.summary())

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: If a file is missing or damaged.
        """
        try:
            table = pd.read_parquet(directory / TABLE)
            kept = json.loads((directory / SUMMARY).read_text(encoding="utf-8"))
            for count in ("n_samples", "n_flagged", "expected_false_alarms"):
                del kept[count]
            return cls(table=table, **kept)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise DataError(
                f"{directory}: no readable {TABLE} and {SUMMARY} ({reason}); run the check again"
            ) from None


def find_memorised(
    samples: ImageRows,
    real: ImageRows,
    groups: Sequence[Any] | NDArray[Any] | None,
    extractor: nn.Module,
    *,
    quantile: float = 0.01,
    rule: Rule = "ssim",
    mirrored: bool = False,
    shift: int = 0,
    progress: bool = False,
) -> Memorisation:
    """Flag samples that are nearer to one training image than training images are to another's.

    Time grows with samples x training images and with training images squared, and with the views:
    2 with `mirrored`, times (2 shift + 1)^2.

    Args:
        samples: ``[M, C, H, W]`` in [0, 1].
        real: The generator's training images ``[N, C, H, W]``, the same C, H, W.
        groups: Patient of each training image, or None where every image is its own.
        extractor: Maps images to features ``[B, D]``, as
            :class:`frerec.evaluation.features.FeatureExtractor`.
        quantile: Share of the training images that may have a ratio below the threshold, in
            (0, 0.5]; with fewer than 1 / quantile of them, below means below all of theirs.
        rule: Flag a sample where ``both`` ratios are below their thresholds, or ``either``, or
            that of ``ssim`` or of ``features`` alone. [ours] ``ssim``: ``both`` misses one in
            twenty of the copies that are blurred or shifted, with fewer false alarms.
        mirrored: Compare the mirrored sample too, for a generator that was trained with flips.
        shift: Compare the sample shifted by up to so many of the 32 pixels too, in all directions.
        progress: Show progress bars.

    Raises:
        DataError: If images do not fit, are smaller than 11 pixels, or are of fewer than three
            patients.
        ConfigError: If a setting is out of range.
    """
    check_settings(quantile=quantile, rule=rule, shift=shift)
    codes = _check(samples, real, groups)
    of_real, of_samples = (
        compared_views(
            images, extractor, mirrored=mirrored, shift=shift, progress=progress, what=what
        )
        for images, what in ((real, "real"), (samples, "samples"))
    )
    null = nearest_members(of_real, of_real, codes, codes, what="real to real", progress=progress)
    found = nearest_members(
        of_samples, of_real, codes, None, what="samples to real", progress=progress
    )
    kept = null["ssim"].ratio >= DUPLICATE
    if not bool(kept.any()):
        raise DataError(
            "memorisation: every real image has a near-duplicate of another patient; give groups,"
            " or drop duplicates with data.near_duplicates=drop"
        )
    place = int(quantile * int(kept.sum()))
    thresholds = {k: float(near.ratio[kept].sort().values[place]) for k, near in null.items()}
    by_ssim, by_features = found["ssim"], found["features"]
    table = pd.DataFrame(
        {
            "sample": np.arange(len(samples)),
            "ssim_row": by_ssim.row.numpy(),
            "ssim": 1 - by_ssim.distance.numpy(),
            "ssim_ratio": by_ssim.ratio.numpy(),
            "ssim_mirrored": by_ssim.mirrored.numpy(),
            "feature_row": by_features.row.numpy(),
            "feature_distance": by_features.distance.numpy(),
            "feature_ratio": by_features.ratio.numpy(),
            "feature_mirrored": by_features.mirrored.numpy(),
            "flagged": _flag(found, thresholds, rule).numpy(),
        }
    )
    return Memorisation(
        table=table,
        thresholds=thresholds,
        quantile=quantile,
        rule=rule,
        real_flagged=float(_flag(null, thresholds, rule)[kept].double().mean()),
        real_duplicates=len(real) - int(kept.sum()),
        mirrored=mirrored,
        shift=shift,
        n_real=len(real),
        n_groups=int(codes.max()) + 1,
        features=str(getattr(extractor, "name", type(extractor).__name__)),
    )


def check_settings(*, quantile: float, rule: str, shift: int, **_: Any) -> None:
    """Refuse settings that are out of range, before anything is compared.

    Raises:
        ConfigError: Names the key.
    """
    if rule not in RULES:
        raise ConfigError(f"memorisation.rule={rule}: expected one of {', '.join(RULES)}")
    if not 0.0 < quantile <= 0.5:
        raise ConfigError(f"memorisation.quantile={quantile}: expected a number in (0, 0.5]")
    if type(shift) is not int or not 0 <= shift <= 4:
        raise ConfigError(
            f"memorisation.shift={shift}: expected a whole number from 0 to 4, of {SIDE} pixels"
        )


def _check(samples: ImageRows, real: ImageRows, groups: Any) -> Tensor:
    """The patients' codes int64 ``[N]``, after the checks at the door."""
    check_rows(samples, what="samples")
    check_rows(real, what="real images")
    if tuple(samples.shape[1:]) != tuple(real.shape[1:]):
        raise DataError(
            f"memorisation: samples of shape {tuple(samples.shape[1:])}, real images of "
            f"{tuple(real.shape[1:])}; expected the same [C, H, W]"
        )
    if min(real.shape[-2:]) < WINDOW:
        raise DataError(
            f"memorisation: images of {real.shape[-2]} x {real.shape[-1]} pixels; SSIM needs "
            f"{WINDOW} x {WINDOW}"
        )
    names = np.arange(len(real)) if groups is None else np.asarray(groups)
    if len(names) != len(real):
        raise DataError(f"memorisation: {len(names)} groups for {len(real)} real images")
    codes = torch.from_numpy(np.unique(names, return_inverse=True)[1].astype(np.int64))
    if int(codes.max()) < 2:
        raise DataError(
            "memorisation: real images of fewer than three patients; a threshold needs a nearest "
            "and a next one of other patients"
        )
    return codes


def _flag(found: dict[str, Nearest], thresholds: dict[str, float], rule: Rule) -> Tensor:
    by_ssim = found["ssim"].below(thresholds["ssim"])
    by_features = found["features"].below(thresholds["features"])
    return {
        "both": by_ssim & by_features,
        "either": by_ssim | by_features,
        "ssim": by_ssim,
        "features": by_features,
    }[rule]
