"""The diagnosis as one HTML page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frerec.diagnosis.verdict import TITLES, figure_text
from frerec.report.figures import FigureFiles
from frerec.report.page_environment import page_environment
from frerec.report.tabular import EMPTY, fixed

COLUMNS = (
    "Comparison",
    "Log-spectral distance, high band, dB",
    "Log-spectral distance, full band, dB",
    "Power in the high band, synthetic minus real, dB",
)
DETECTOR_COLUMNS = ("Comparison", "Detectors trained on", "AUC, linear", "AUC, RBF-SVM")
NOTES = (
    "A detector succeeds on any difference between the sets: content, file format and resizing as "
    "much as the generator's fault. Read it with the warnings.",
    "The intervals are bootstrap intervals over the images, whole patients where they are known. "
    "Other training images for the detectors, another run of the generator and another fit of the "
    "model are not in them.",
    "Distances are of the mean power, curves and maps of the mean log power; they weight bright "
    "images differently.",
    "The intervals of log-spectral distances are shifted so that their middle is the distance "
    "itself, since resampling makes a distance too large.",
)
AFTER_NOTES = (
    "After the model the synthetic images are compared twice: with raw real images, and with real "
    "images that went through the model too. The paper calibrates all images, real ones included, "
    "so the second is what a classifier sees there; the first says whether calibrated images could "
    "pass among raw ones.",
    "Trained before: the detector learnt on uncalibrated images of both sets and scores calibrated "
    "ones it has not seen. Trained anew: it learnt on images as they are after the model, and so "
    "finds what the calibration leaves behind itself.",
)


def render(
    numbers: Mapping[str, Any],
    figures: Sequence[FigureFiles],
    facts: Sequence[tuple[str, str]],
    command: str,
) -> str:
    """The page as text: inline styles, embedded images, light and dark, no script.

    Args:
        numbers: as they are written to `diagnosis.json`.
        figures: as `frerec.diagnosis.figures.write_figures` wrote them.
        facts: what was compared: name and text.
        command: that would do the same again.
    """
    environment = page_environment("frerec.diagnosis")
    comparisons = numbers["comparisons"]
    notes = [*(AFTER_NOTES if len(comparisons) > 1 else ()), *NOTES]
    return environment.get_template("diagnosis.html.j2").render(
        numbers=numbers,
        verdict=numbers["verdict"],
        warnings=numbers["warnings"],
        figures={figure.name: figure for figure in figures},
        facts=facts,
        command=command,
        columns=COLUMNS,
        rows=distance_rows(numbers),
        detector_columns=DETECTOR_COLUMNS,
        detector_rows=detector_table(comparisons),
        fidelity=fidelity_rows(numbers["fidelity"]),
        remarks=numbers["notes"],
        notes=notes,
    )


def distance_rows(numbers: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row a comparison, and one for the halves of the real images; see :data:`COLUMNS`."""
    rows = [
        (
            _sentence(TITLES[name]),
            figure_text(found["lsd_high_db"], 2),
            figure_text(found["lsd_db"], 2),
            figure_text(found["power_high_db"], 2, difference=True),
        )
        for name, found in numbers["comparisons"].items()
    ]
    halves = numbers["real_halves"]
    yardstick = (fixed(halves["lsd_high_db"], 2), fixed(halves["lsd_db"], 2), EMPTY)
    return [*rows, ("Yardstick: random halves of the real images", *yardstick)]


def detector_table(comparisons: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A row for each comparison and way of training; see :data:`DETECTOR_COLUMNS`."""
    rows = []
    for name, found in comparisons.items():
        for way, kinds in found["detectors"].items():
            learnt = "uncalibrated images" if way == "trained_before" else "these images"
            aucs = [figure_text(kinds[kind], 3) for kind in ("logistic", "rbf_svm")]
            rows.append((_sentence(TITLES[name]), learnt, *aucs))
    return rows


def fidelity_rows(fidelity: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    """Set, PSNR and SSIM with the middle 90 % of the images."""
    return [
        (name, _spread(of_set["psnr_db"], 2), _spread(of_set["ssim"], 3))
        for name, of_set in (fidelity or {}).items()
    ]


def _spread(figure: Mapping[str, float], digits: int) -> str:
    ends = f"{fixed(figure['p5'], digits)} to {fixed(figure['p95'], digits)}"
    return f"{fixed(figure['mean'], digits)} ({ends})"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
