"""The paper's ablation: which stage does what, our numbers beside the paper's."""

import pandas as pd

from frerec.report.blocks import Group, groups
from frerec.report.fidelity_of_arms import fidelity_of
from frerec.report.headroom import headroom, headroom_notes
from frerec.report.main_tables import over_seeds
from frerec.report.published import ABLATION, ABLATION_DATASET, DATASETS
from frerec.report.run import Run
from frerec.report.tabular import Row, Table, estimate, fixed, signed

# Measure -> its title and digits, as the paper printed it.
_MEASURES = {
    "auc": ("AUC", 2),
    "accuracy": ("accuracy", 2),
    "psnr": ("PSNR", 2),
    "ssim": ("SSIM", 2),
}
_FULL = "frerec"


def ablation_table(run: Run) -> Table:
    """SHR alone, RHM without and with FESA, full FreRec; only where a part was run by itself."""
    rows, records = [], []
    elsewhere = fewer = False
    blocks = groups(run)
    found = {}
    for block in blocks:
        present = [arm for arm in ABLATION if arm in block.arms]
        if present in ([], [_FULL]):
            continue
        comparable = block.published == ABLATION_DATASET and block.whole
        elsewhere |= block.published != ABLATION_DATASET
        fewer |= not block.whole
        found[block.title] = headroom(block, blocks)
        for arm in present:
            cells, record = _row(run, block, arm, comparable)
            rows.append(Row(block.title, cells))
            records.append(record | found[block.title].record())
    notes = [
        "PSNR and SSIM: real validation images after the calibration against the images "
        "themselves [ours]; the paper does not say which images its own are of.",
        "The paper does not say which classifier its ablation is of.",
    ]
    if elsewhere:
        notes.append(
            f"The paper's ablation is on {DATASETS[ABLATION_DATASET]}: beside other data it stands "
            "for orientation, and no difference is formed."
        )
    if fewer:
        notes.append(
            "The paper's ablation is of its whole training set, as far as it says: beside fewer "
            "images no difference is formed."
        )
    notes += headroom_notes(found)
    return Table(
        key="ablation",
        title="Ablation",
        caption="What each part of FreRec does: all images of an arm, real and synthetic, go "
        "through the part. Means over the seeds, for AUC with the 95 % Student-t interval.",
        group_title="Classifier",
        columns=(
            "Configuration",
            "Seeds",
            "AUC [95\u00a0%\u00a0interval]",
            "Paper's AUC",
            "Ours − paper's",
            "Accuracy",
            "Paper's accuracy",
            "Ours − paper's",
            "PSNR, dB",
            "Paper's PSNR",
            "Ours − paper's",
            "SSIM",
            "Paper's SSIM",
            "Ours − paper's",
        ),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=tuple(notes),
        section="ablation",
    )


def _row(
    run: Run, block: Group, arm: str, comparable: bool
) -> tuple[tuple[str, ...], dict[str, object]]:
    done = block.finished(arm)
    auc, accuracy = over_seeds(done, "auc"), over_seeds(done, "accuracy")
    psnr, ssim = fidelity_of(run, done)
    ours = {
        "auc": auc.mean if auc else None,
        "accuracy": accuracy.mean if accuracy else None,
        "psnr": psnr,
        "ssim": ssim,
    }
    paper = ABLATION[arm]
    record: dict[str, object] = {
        **block.axes,
        "arm": arm,
        "configuration": paper.configuration,
        "seeds": len(done),
        "auc_low": auc.low if auc else None,
        "auc_high": auc.high if auc else None,
    }
    cells = [paper.configuration, str(len(done))]
    for measure, (_, digits) in _MEASURES.items():
        value, printed = ours[measure], float(getattr(paper, measure))
        gap = value - printed if comparable and value is not None else None
        own = fixed(value, digits if measure == "psnr" else 3)
        cells.append(estimate(auc) if measure == "auc" else own)
        cells += [fixed(printed, digits), signed(gap, digits)]  # no more than the paper's digits
        record |= {measure: value, f"paper_{measure}": printed, f"difference_{measure}": gap}
    return tuple(cells), record
