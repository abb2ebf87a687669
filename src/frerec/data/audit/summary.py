"""The audit as a whole: what summary.json holds, and the report on the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from frerec.data.audit.duplicates import Duplicates, find_duplicates
from frerec.data.audit.encodings import encodings
from frerec.data.audit.findings import WARNING
from frerec.data.audit.patients import NO_SPLIT, patients
from frerec.data.audit.report import report
from frerec.data.audit.spectra import spectra
from frerec.data.audit.verdicts import duplicate_findings, image_findings, leak_findings
from frerec.data.manifest import Manifest
from frerec.data.perceptual import NearPairs
from frerec.data.stack import ImageStack


@dataclass(frozen=True, eq=False)
class Audit:
    """What was found; see `audit`.

    Attributes:
        summary: counts and findings, ready for JSON.
        duplicates: the pairs, by row of the manifest.
    """

    summary: dict[str, Any]
    duplicates: Duplicates

    @property
    def pairs(self) -> pd.DataFrame:
        """The pairs in words, `duplicates.PAIR_COLUMNS`."""
        return self.duplicates.pairs

    def text(self, width: int = 100) -> str:
        """The report for a terminal: what is wrong first, then the tables."""
        return report(self.summary, width)


def audit(
    manifest: Manifest,
    stack: ImageStack,
    *,
    near_distance: int,
    near: NearPairs | None = None,
    skipped: Sequence[tuple[str, str]] = (),
    missing: Sequence[str] = (),
    resizing: Mapping[str, Any] | None = None,
    per_class: int = 1000,
    seed: int = 0,
    progress: bool | None = None,
) -> Audit:
    """Look at a decoded data set for what makes its results wrong.

    The same input gives the same output. The summary is, in this order:

    - `dataset`, `images`, `image_size` [C, H, W], `resizing` as given, `classes` in order, `counts`
      {class: {split: n}}; a blank split is called `none`;
    - `warnings`: a list of {`code`, `level` (`warning` or `note`), `message`}, see `findings`;
    - `missing`: names; `skipped`: {name: reason}; like the pairs, and unlike all else here, these
      name images, and so patients where the publisher put their ids into paths;
    - `patients`: `images_with_known_patient`, `patients`, `by_class_and_split` (a number, or
      `not known`), `in_two_splits`, `images_of_those`, `by_splits`;
    - `duplicates`: `near_distance`, `complete`, `exact` and `near` (each `pairs`,
      `pairs_across_splits`, `pairs_with_other_label`, `pairs_by_splits`, `conflicts_by_labels`,
      `images`, `images_by_class`, `clusters`, `largest_cluster`), `near_pairs_by_distance`,
      `also_in_train` {val or test: {exact or near: {class: images}}}, where an image that is both
      counts as exact;
    - `encodings`: {fact: {`by_label` and `by_split`: `counts` {group: {value: n}}, `cramers_v`,
      `total_variation` {group: distance from the rest}, `p`, `strong`}} for format, mode, bits,
      quality (of JPEGs), size and resizing; `sizes` {class: {height, width, aspect, scale: {min,
      median, max}; `auc`: {area, aspect}}};
    - `spectra`: `images`, `high_band`, `classes` {class: {`images`, quartiles of `high_share`,
      `specks` and `blockiness`, `speckled`, `blocks_measured`, `auc` {measure}}}.

    An `auc` is {value, low, high, p, strong}. Every `p` is corrected for the number of tests, see
    `significance`.

    Args:
        manifest: N images with all `manifest.FACTS` but `hash`.
        stack: the same images, in the same order, after resizing.
        near_distance: most bits of 256 that near-duplicates differ in.
        near: what `find_near_pairs` found in this manifest at this distance; None to search.
        skipped: images that could not be used: name and reason.
        missing: names of images that are listed but do not exist.
        resizing: how images were resized, for the record.
        per_class: how many images of a class are measured for `spectra`.
        seed: of their choice.
        progress: show bars on stderr; None for only on a terminal.
    """
    duplicates = find_duplicates(manifest, near_distance, near=near, progress=progress)
    stored, of_encodings = encodings(manifest)
    measured, of_spectra = spectra(
        manifest, stack, per_class=per_class, seed=seed, progress=progress
    )
    found = [
        *leak_findings(duplicates),
        *duplicate_findings(duplicates),
        *of_encodings,
        *of_spectra,
        *image_findings(manifest, dict(skipped), missing),
    ]
    found.sort(key=lambda finding: finding.level != WARNING)
    datasets = [name for name in manifest.table["dataset"].unique() if name]
    summary = {
        "dataset": ", ".join(datasets),
        "images": len(manifest),
        "image_size": list(stack.shape[1:]),
        "resizing": dict(resizing or {}),
        "classes": list(manifest.classes),
        "counts": {
            str(name): {str(split) or NO_SPLIT: int(n) for split, n in row.items()}
            for name, row in manifest.counts().iterrows()
        },
        "warnings": [finding.as_dict() for finding in found],
        "missing": list(missing),
        "skipped": dict(skipped),
        "patients": patients(manifest),
        "duplicates": {"near_distance": near_distance, **duplicates.summary()},
        "encodings": stored,
        "spectra": measured,
    }
    return Audit(summary, duplicates)
