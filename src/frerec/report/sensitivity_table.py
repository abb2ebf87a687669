"""How much the results depend on SHR's r and K, where a run varies them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from frerec.errors import DataError
from frerec.report.blocks import Group, groups
from frerec.report.fidelity_of_arms import fidelity_of
from frerec.report.main_tables import over_seeds
from frerec.report.parsing import number
from frerec.report.published import NEIGHBOURS, RATIO
from frerec.report.run import Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, estimate, fixed

# Setting -> the axes that vary it: of FreRec, and of SHR as a calibrator by itself.
SETTINGS: Mapping[str, tuple[str, ...]] = {
    "ratio": ("calibrator.shr.ratio", "calibrator.ratio"),
    "neighbours": ("calibrator.shr.neighbours", "calibrator.neighbours"),
}
_AXES = tuple(axis for axes in SETTINGS.values() for axis in axes)
_PAPERS = {"ratio": RATIO, "neighbours": NEIGHBOURS}


def sensitivity_table(run: Run) -> Table:
    """AUC, PSNR and SSIM for each r and K; empty where no axis varies one of them."""
    entries = _entries(run)
    rows = [Row(f"{title}, {arm}", _cells(run, done)) for title, arm, _, done in entries]
    return Table(
        key="sensitivity",
        title="Sensitivity to r and K",
        caption="r: radius of the low band that SHR keeps, as a fraction of the Nyquist radius. K: "
        "number of similar real images. Mean test AUC over the seeds with its 95 % Student-t "
        f"interval; the paper's setting is r = {RATIO}, K = {NEIGHBOURS}. The paper's own numbers "
        "for other settings are not known to us.",
        group_title="Arm",
        columns=("r", "K", "Seeds", "AUC [95\u00a0%\u00a0interval]", "PSNR, dB", "SSIM", "Setting"),
        rows=tuple(rows),
        frame=pd.DataFrame([_record(run, block, arm, done) for _, arm, block, done in entries]),
        notes=(
            "K is at most a fifth of the real images that are searched: beyond that a larger K "
            "changes nothing.",
            "Test AUC is shown, not chosen by: a setting is to be chosen on validation images.",
        ),
        wordy=(6,),
        section="sensitivity",
    )


def _entries(run: Run) -> list[tuple[str, str, Group, tuple[Cell, ...]]]:
    """Title, arm, block and finished cells of each row, by title, arm, r and K.

    Where a run with such an axis is reported with one that has none, the latter's cells are the
    row of the default.
    """
    varied = [block for block in groups(run) if _varied(block)]
    entries = []
    seen: set[tuple[str, ...]] = set()
    for block in varied:
        for arm in block.arms:
            done = block.finished(arm)
            ids = tuple(cell.id for cell in done)
            # An arm that SHR has no part in has the same cells for every value.
            if done and ids not in seen and not _constant(varied, block, arm):
                seen.add(ids)
                entries.append((_title(block), arm, block, done))
    known = {(title, arm) for title, arm, *_ in entries}
    for block in groups(run):
        for arm in block.arms:
            done = block.finished(arm)
            if done and not _varied(block) and (_title(block), arm) in known:
                entries.append((_title(block), arm, block, done))
    return sorted(entries, key=lambda entry: (entry[0], entry[1], _order(entry[3])))


def _varied(block: Group) -> bool:
    return any(axis in _AXES for axis, _ in block.extra)


def _title(block: Group) -> str:
    """The block without the axes that the rows stand for."""
    others = [f"{axis} {value}" for axis, value in block.extra if axis not in _AXES]
    return ", ".join(filter(None, (block.data, block.generator, block.classifier, *others)))


def _constant(blocks: Sequence[Group], block: Group, arm: str) -> bool:
    """Whether an arm's cells are the same ones for another value of r or K."""
    own = {cell.id for cell in block.arms[arm]}
    twins = [b for b in blocks if b is not block and _title(b) == _title(block)]
    return any(own & {cell.id for cell in twin.arms.get(arm, ())} for twin in twins)


def settings_of(cell: Cell) -> dict[str, float | None]:
    """Ratio r and number K of a cell: its axes, else its configuration, None where neither has it.

    Raises:
        DataError: where its config.yaml is damaged.
    """
    axes = dict(cell.extra)
    calibrator = _calibrator(cell.folder / "config.yaml")
    shr = calibrator.get("shr")
    found: dict[str, float | None] = {}
    for setting, names in SETTINGS.items():
        given = next((axes[name] for name in names if name in axes), None)
        own = shr.get(setting) if isinstance(shr, dict) else calibrator.get(setting)
        found[setting] = number(own) if given is None else _float(given)
    return found


def _calibrator(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file}: not readable as YAML; run the benchmark again") from error
    calibrator = content.get("calibrator") if isinstance(content, dict) else None
    return calibrator if isinstance(calibrator, dict) else {}


def _float(text: str) -> float | None:
    try:
        return number(float(text))
    except ValueError:
        return None


def _order(cells: Sequence[Cell]) -> tuple[float, ...]:
    return tuple(-1.0 if value is None else value for value in settings_of(cells[0]).values())


def _papers(settings: Mapping[str, float | None]) -> str:
    """Which of the values are the paper's, in words."""
    same = [key for key, value in settings.items() if value == _PAPERS[key]]
    if len(same) == len(_PAPERS):
        return "the paper's"
    names = {"ratio": "the paper's r", "neighbours": "the paper's K"}
    return names[same[0]] if same else EMPTY


def _cells(run: Run, done: Sequence[Cell]) -> tuple[str, ...]:
    settings = settings_of(done[0])
    psnr, ssim = fidelity_of(run, done)
    texts = [EMPTY if value is None else f"{value:g}" for value in settings.values()]
    auc = estimate(over_seeds(done, "auc"))
    return (*texts, str(len(done)), auc, fixed(psnr, 2), fixed(ssim), _papers(settings))


def _record(run: Run, block: Group, arm: str, done: Sequence[Cell]) -> dict[str, object]:
    settings = settings_of(done[0])
    auc = over_seeds(done, "auc")
    psnr, ssim = fidelity_of(run, done)
    return {
        **block.axes,
        "arm": arm,
        **settings,
        "papers_setting": all(settings[key] == _PAPERS[key] for key in _PAPERS),
        "seeds": len(done),
        "auc": auc.mean if auc else None,
        "low": auc.low if auc else None,
        "high": auc.high if auc else None,
        "psnr": psnr,
        "ssim": ssim,
    }
