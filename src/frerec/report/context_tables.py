"""The tables beside the results: images, sample quality, fidelity, the paper's numbers."""

import pandas as pd

from frerec.report.parsing import number
from frerec.report.published import ABLATION, CLASSIFIERS, DATASETS, lookup
from frerec.report.run import Run
from frerec.report.showcase import SET_TITLES
from frerec.report.tabular import EMPTY, Row, Table, fixed, thousands


def counts_table(run: Run) -> Table:
    """Images per class in each split."""
    parts = [part for part in ("train", "val", "test", "synthetic") if part in run.counts]
    parts += [part for part in run.counts if part not in parts]
    names = list(run.classes) or sorted({name for part in parts for name in run.counts[part]})
    titles = {"val": "validation"}
    records = [
        {"split": part, **{name: _count(run, part, name) for name in names}} for part in parts
    ]
    return Table(
        key="counts",
        title="Images",
        caption="Images per class; validation and test are real images only.",
        group_title="",
        columns=("Split", *names, "Sum"),
        rows=tuple(
            Row(
                "",
                (
                    titles.get(part, part),
                    *(thousands(_count(run, part, name)) for name in names),
                    thousands(sum(run.counts[part].values())),
                ),
            )
            for part in parts
        ),
        frame=pd.DataFrame(records),
        section="run",
    )


def _count(run: Run, part: str, name: str) -> int | None:
    """0 where a split lacks a class; None where several runs have different classes."""
    return run.counts[part].get(name, None if run.parts else 0)


def sample_table(run: Run) -> Table:
    """How far each set of synthetic images is from the real ones."""
    columns = ("lsd_db", "lsd_high_db", "detector_auc", "kid", "kid_std")
    rows, records = [], []
    for source in run.sources:
        sets = source.showcase.sets if source.showcase else {}
        order = [name for name in SET_TITLES if name in sets]
        order += [name for name in sets if name not in SET_TITLES]
        for name in order:
            values = {key: number(sets[name].get(key)) for key in columns}
            features = str(sets[name].get("kid_features") or "")
            spread = values["kid_std"]
            kid = fixed(values["kid"], 4) + ("" if spread is None else f" ± {fixed(spread, 4)}")
            cells = (
                SET_TITLES.get(name, name),
                fixed(values["lsd_db"], 2),
                fixed(values["lsd_high_db"], 2),
                fixed(values["detector_auc"]),
                kid,
                features or EMPTY,
            )
            rows.append(Row(_source(run, source), cells))
            of_run = {"run": source.name} if run.parts else {}
            records.append({**of_run, "set": name, **values, "kid_features": features})
    return Table(
        key="samples",
        title="Sample quality",
        caption="Synthetic images against the real images of the same treatment.",
        group_title="Run" if run.parts else "",
        columns=(
            "Images",
            "LSD, dB",
            "LSD at ρ\u00a0≥\u00a00.5, dB",
            "Detector AUC",
            "KID",
            "KID features",
        ),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(
            "LSD: log-spectral distance of the mean radial power, 0 is ideal; ρ is the radius as "
            "a fraction of the Nyquist radius.",
            "Detector AUC: how well a classifier of the radial spectrum tells synthetic from "
            "real; 0.5 is ideal, 1 is full separation.",
            "KID compares the content too, lower is better; it depends on the features named "
            "and is not comparable with KID from others.",
        ),
        wordy=(0, 5),
        section="samples",
    )


def _source(run: Run, source: Run) -> str:
    """The name of a row's block: none where there is one run alone."""
    return source.name if run.parts else ""


def fidelity_table(run: Run) -> Table:
    """PSNR and SSIM of calibrated against uncorrected images, the paper's ablation beside."""
    rows, records = [], []
    for source in run.sources:
        for name, entry in (source.showcase.fidelity if source.showcase else {}).items():
            psnr, ssim, images = (number(entry.get(key)) for key in ("psnr", "ssim", "images"))
            paper = _ablation_of(name)
            published = ABLATION[paper] if paper else None
            cells = (
                name,
                str(entry.get("what") or EMPTY),
                thousands(images),
                fixed(psnr, 2),
                fixed(published.psnr, 2) if published else EMPTY,
                fixed(ssim, 2),
                fixed(published.ssim, 2) if published else EMPTY,
                published.configuration if published else EMPTY,
            )
            rows.append(Row(_source(run, source), cells))
            records.append(
                {
                    **({"run": source.name} if run.parts else {}),
                    "comparison": name,
                    "what": str(entry.get("what") or ""),
                    "images": images,
                    "psnr": psnr,
                    "ssim": ssim,
                    "paper_row": published.configuration if published else None,
                    "paper_psnr": published.psnr if published else None,
                    "paper_ssim": published.ssim if published else None,
                }
            )
    return Table(
        key="fidelity",
        title="Fidelity",
        caption="What calibration changes: PSNR and SSIM of the calibrated images against the "
        "same images before it, beside the paper's ablation on cardiomegaly.",
        group_title="Run" if run.parts else "",
        columns=(
            "Images",
            "What",
            "Number",
            "PSNR, dB",
            "Paper's PSNR, dB",
            "SSIM",
            "Paper's SSIM",
            "Paper's row",
        ),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(
            "The paper does not say which images its PSNR and SSIM are of; we measure them "
            "against the uncorrected images.",
        ),
        wordy=(0, 1, 7),
        section="fidelity",
    )


def _ablation_of(name: str) -> str | None:
    """The paper's ablation row of a comparison such as real_shr or real_frerec_val."""
    method = name.split("_", 1)[-1]
    for suffix in ("_train", "_val", "_test"):
        method = method.removesuffix(suffix)
    return method if method in ABLATION else None


def published_table(run: Run) -> Table | None:
    """All AUCs of the paper for the run's data sets, None where the paper has no such one."""
    names = list(dict.fromkeys(run.references.values()))
    if not names:
        return None
    found = [
        entry
        for name in names
        for arm in ("raw", "gda", "frerec")
        if (entry := lookup(name, arm, "")) is not None
    ]
    several = len(names) > 1
    return Table(
        key="published",
        title="The paper's AUCs",
        caption=f"AUC as the paper printed it for {', '.join(DATASETS[name] for name in names)}.",
        group_title="Data set" if several else "",
        columns=("Arm", *CLASSIFIERS),
        rows=tuple(
            Row(
                DATASETS[e.dataset] if several else "",
                (e.arm, *(fixed(e.by_classifier[name]) for name in CLASSIFIERS)),
            )
            for e in found
        ),
        frame=pd.DataFrame([{"data": e.dataset, "arm": e.arm, **e.by_classifier} for e in found]),
        notes=(
            "The paper does not state its image size, counts, splits or ratio of synthetic to "
            "real images: a difference to it is a description, not a test.",
        ),
    )
