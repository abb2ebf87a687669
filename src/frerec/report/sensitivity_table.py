"""How much the results depend on SHR's r and K, where a run varies them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from frerec.errors import DataError
from frerec.report.blocks import Group, axis_number, axis_titles, groups
from frerec.report.fidelity_of_arms import fidelity_of
from frerec.report.headroom import headroom, headroom_notes
from frerec.report.main_tables import over_seeds
from frerec.report.parsing import number
from frerec.report.published import NEIGHBOURS, RATIO, SHR_AXES
from frerec.report.run import Cell, Run
from frerec.report.tabular import EMPTY, Row, Table, estimate, fixed

POOL_PER_NEIGHBOUR = 5  # SHR's: K is at most a fifth of the real images that are searched [ours]
# Setting -> the axes that vary it.
SETTINGS: Mapping[str, tuple[str, ...]] = {key: axes for key, (axes, _) in SHR_AXES.items()}
_AXES = tuple(axis for axes in SETTINGS.values() for axis in axes)


def sensitivity_table(run: Run) -> Table:
    """AUC, PSNR and SSIM for each r and K; empty where no axis varies one of them."""
    entries = _entries(run)
    blocks = groups(run)
    found = {block.title: headroom(block, blocks) for _, _, block, _ in entries}
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
        frame=pd.DataFrame(
            [
                _record(run, block, arm, done) | found[block.title].record()
                for _, arm, block, done in entries
            ]
        ),
        notes=(
            "K is at most a fifth of the real images that are searched: where fewer are used than "
            "were asked for, it says so, and a larger K changes nothing.",
            "Test AUC is shown, not chosen by: a setting is to be chosen on validation images.",
            *headroom_notes(found),
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
    others = axis_titles((axis, value) for axis, value in block.extra if axis not in _AXES)
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
        found[setting] = number(own if given is None else axis_number(given))
    return found


def effective_neighbours(run: Run, cell: Cell) -> float | None:
    """The K that SHR used: at most a fifth of the training images.

    Their number is what the cell recorded, else that of the plan, where it has one data set. Where
    it is unknown the K is as asked; None where that is unknown.
    """
    asked = settings_of(cell)["neighbours"]
    source = next((part for part in run.sources if cell.folder.is_relative_to(part.path)), run)
    bank = cell.training.get("train_real")
    if bank is None and len({other.data for other in source.cells}) == 1:
        bank = sum(source.counts.get("train", {}).values()) or None
    if asked is None or bank is None:
        return asked
    return max(1.0, min(asked, bank // POOL_PER_NEIGHBOUR))


def _calibrator(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(f"{file}: not readable as YAML; run the benchmark again") from error
    calibrator = content.get("calibrator") if isinstance(content, dict) else None
    return calibrator if isinstance(calibrator, dict) else {}


def _order(cells: Sequence[Cell]) -> tuple[float, ...]:
    return tuple(-1.0 if value is None else value for value in settings_of(cells[0]).values())


def _used(run: Run, done: Sequence[Cell]) -> dict[str, float | None]:
    """r, and the K that was used; no K where it is not the same in every cell."""
    found = {effective_neighbours(run, cell) for cell in done}
    neighbours = next(iter(found)) if len(found) == 1 else None
    return settings_of(done[0]) | {"neighbours": neighbours}


def _papers(used: Mapping[str, float | None]) -> str:
    """Which of the values are the paper's, in words."""
    same = [key for key, (_, value) in SHR_AXES.items() if used[key] == value]
    if len(same) == len(SHR_AXES):
        return "the paper's"
    names = {"ratio": "the paper's r", "neighbours": "the paper's K"}
    return names[same[0]] if same else EMPTY


def _cells(run: Run, done: Sequence[Cell]) -> tuple[str, ...]:
    settings, used = settings_of(done[0]), _used(run, done)
    psnr, ssim = fidelity_of(run, done)
    ratio, neighbours = (EMPTY if v is None else f"{v:g}" for v in settings.values())
    if used["neighbours"] is not None and used["neighbours"] != settings["neighbours"]:
        neighbours += f" ({used['neighbours']:g} used)"
    auc = estimate(over_seeds(done, "auc"))
    texts = (fixed(psnr, 2), fixed(ssim), _papers(used))
    return (ratio, neighbours, str(len(done)), auc, *texts)


def _record(run: Run, block: Group, arm: str, done: Sequence[Cell]) -> dict[str, object]:
    settings, used = settings_of(done[0]), _used(run, done)
    auc = over_seeds(done, "auc")
    psnr, ssim = fidelity_of(run, done)
    return {
        **block.axes,
        "arm": arm,
        **settings,
        "neighbours_used": used["neighbours"],
        "papers_setting": all(used[key] == value for key, (_, value) in SHR_AXES.items()),
        "seeds": len(done),
        "auc": auc.mean if auc else None,
        "low": auc.low if auc else None,
        "high": auc.high if auc else None,
        "psnr": psnr,
        "ssim": ssim,
    }
