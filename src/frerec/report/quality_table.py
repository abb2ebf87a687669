"""The table of how good the generator is, without which a comparison of arms says little."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from frerec.report.blocks import axis_titles
from frerec.report.cells import axis_text
from frerec.report.parsing import number
from frerec.report.run import Run
from frerec.report.tabular import EMPTY, Row, Table, fixed, thousands

# Which of the sets of frerec.evaluation.generative stands in which row.
SETS = {
    "samples": "samples",
    "matched": "samples against half",
    "floor": "real half against real half",
}
MEASURES = {
    "fid": ("FID", 2),
    "kid": ("KID", 4),
    "precision": ("Precision", 3),
    "recall": ("Recall", 3),
    "lsd_db": ("LSD, dB", 2),
    "lsd_high_db": ("LSD at ρ\u00a0≥\u00a00.5, dB", 2),
    "detector_auc": ("Detector AUC", 3),
}
NUMBERS = (*MEASURES, "kid_std", "n_synthetic", "n_real")


def quality_table(run: Run) -> Table:
    """Every set of samples against the real training images, with the floor of that."""
    rows, records = [], []
    features, remarks = [], []
    for name, quality in _measured(run):
        features.append(str(quality.get("features") or "unknown"))
        remarks += [f"{name}: {text}." for text in quality.get("warnings") or ()]
        for key, title in SETS.items():
            found = quality if key == "samples" else quality.get(key)
            if not isinstance(found, dict):
                continue  # the patients could not be halved
            values = {measure: number(found.get(measure)) for measure in NUMBERS}
            texts = {m: fixed(values[m], digits) for m, (_, digits) in MEASURES.items()}
            if values["kid_std"] is not None:
                texts["kid"] += f" ± {fixed(values['kid_std'], MEASURES['kid'][1])}"
            images = f"{thousands(values['n_synthetic'])} / {thousands(values['n_real'])}"
            rows.append(Row(name, (title, images, *texts.values())))
            records.append({"samples": name, "set": key, **values, "features": features[-1]})
    return Table(
        key="quality",
        title="Generator quality",
        caption="Samples, before any calibration, against the real training images.",
        group_title="Samples",
        columns=("Compared", "Images / real", *(title for title, _ in MEASURES.values())),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(
            f"Features of FID, KID, precision and recall: {', '.join(dict.fromkeys(features))};"
            " figures from other features are not comparable.",
            "What no difference looks like stands in the row real half against real half; the row "
            "to hold against it is samples against half, because FID, precision and recall compare "
            "only at equal numbers of images. The halves share no patient.",
            "Ideal: FID, KID and LSD 0, precision and recall 1, detector AUC 0.5; "
            f"{EMPTY} where there are too few images.",
            *remarks,
        ),
        section="samples",
    )


def _measured(run: Run) -> list[tuple[str, Mapping[str, Any]]]:
    """Name and quality of each set of samples; of several runs with the run's name."""
    return [
        (", ".join([*([source.name] if run.parts else []), _in_words(name)]), quality)
        for source in run.sources
        if source.showcase is not None
        for name, quality in source.showcase.quality
    ]


def _in_words(name: str) -> str:
    """The name of a set of samples, "fastgan data.train_size=100", as "fastgan, train size 100"."""
    generator, *axes = name.split(" ")
    pairs = [axis.partition("=") for axis in axes]
    if not all(mark for _, mark, _ in pairs):
        return name
    return ", ".join(
        [generator, *axis_titles((axis, axis_text(axis, value)) for axis, _, value in pairs)]
    )
