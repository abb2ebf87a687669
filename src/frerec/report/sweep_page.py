"""The report of a sweep: trials.csv, importances.json, figures and one self-contained page."""

import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from frerec.report.figures import FORMATS, FigureFiles
from frerec.report.page_environment import page_environment, page_script
from frerec.report.page_facets import Facets
from frerec.report.page_sections import PageFigure
from frerec.report.page_tables import page_table
from frerec.report.sweep_figures import write_sweep_figures
from frerec.report.sweep_run import Sweep, Trial, importances, read_sweep, trials_frame
from frerec.report.tabular import EMPTY, Row, Table, fixed, write_csv
from frerec.report.writer import replaced_report, report_lock
from frerec.training_tools import write_json

NOTES = (
    "The best of many trials is the best partly by luck: its value on the validation images is "
    "optimistic, and the more so the more trials there were.",
    "No test image was classified: neither the trials' folders, nor the study, nor this page has a "
    "test result. Run the best settings once with `frerec benchmark` (sweep/best.yaml has the "
    "command) to learn how they do on test images.",
    "A trial's value is a mean over few seeds: differences of the size of their spread are none.",
)
_PAGE = "index.html"
_FIGURES = "figures"


def write_sweep_report(
    run_dir: Path, output: Path | None = None, figures: Sequence[str] = FORMATS
) -> Path:
    """Write trials.csv, importances.json, figures/ and index.html of a sweep.

    Args:
        run_dir: the folder that `frerec sweep` wrote.
        output: the report's folder; an older report there is replaced. By default they go to
            run_dir/sweep, beside the records, which stay as they are.
        figures: formats of the figures; none are drawn without one.

    Returns:
        The path of index.html.

    Raises:
        DataError: where run_dir is no sweep's, a file in it is damaged, or `output` exists and is
            not a report.
    """
    sweep = read_sweep(Path(run_dir))
    own = sweep.path / "sweep"
    if output is not None and Path(output).resolve() != own.resolve():
        with replaced_report(Path(output)) as staging:
            _write(sweep, staging, figures)
        return Path(output) / _PAGE
    with report_lock(sweep.path / "report"):
        for left in own.glob(".report-*"):  # of a writer that was killed
            shutil.rmtree(left, ignore_errors=True)
        staging = own / f".report-{uuid.uuid4().hex[:8]}"
        staging.mkdir()
        try:
            _write(sweep, staging, figures)
            shutil.rmtree(own / _FIGURES, ignore_errors=True)
            for made in sorted(staging.iterdir()):
                made.replace(own / made.name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return own / _PAGE


def _write(sweep: Sweep, folder: Path, formats: Sequence[str]) -> None:
    """Write everything into `folder`."""
    shares = importances(sweep)
    (folder / _FIGURES).mkdir()
    drawn = write_sweep_figures(sweep, shares, folder / _FIGURES, formats)
    write_csv(trials_frame(sweep), folder / "trials.csv")
    write_json(folder / "importances.json", {"method": "fANOVA", "importances": shares})
    page = render(sweep, shares, drawn)
    (folder / _PAGE).write_text(page, encoding="utf-8", newline="\n")


def render(sweep: Sweep, shares: Mapping[str, float], figures: Sequence[FigureFiles]) -> str:
    """The page as text: inline styles, one inline script that sorts, figures; light and dark."""
    environment = page_environment()
    script = page_script(environment)
    return environment.get_template("sweep.html.j2").render(
        sweep=sweep,
        script=script.text,
        script_hash=script.sha256,
        facts=_facts(sweep),
        states=", ".join(
            f"{sweep.count(state)} {state}"
            for state in ("complete", "pruned", "failed", "running")
            if sweep.count(state)
        ),
        best=sweep.best,
        columns=list(sweep.space),
        trials=page_table(_table(sweep), Facets(None), heading=False),
        figures=[PageFigure(figure, {}, wide=True) for figure in figures],
        few=len(sweep.complete) < 4,
        shares=shares,
        notes=NOTES,
        fixed=fixed,
        short=_short,
    )


def _facts(sweep: Sweep) -> list[tuple[str, str]]:
    facts = sweep.facts
    seeds = ", ".join(map(str, facts.get("seeds", [])))
    counts = facts.get("counts", {})
    lines = [
        ("Objective", f"{sweep.objective}, {facts['direction']}d, mean over seeds {seeds}"),
        ("Data set", ", ".join(filter(None, (facts.get("dataset"), facts.get("modality"))))),
        ("Images", ", ".join(f"{n} {split}" for split, n in counts.items())),
        ("Arm and classifier", f"{facts.get('arm', '')}, {facts.get('classifier', '')}"),
        ("Generator", str(facts.get("generator", ""))),
        ("Sampler", f"{facts.get('sampler', '')}, seed {facts.get('sampler_seed', '')}"),
        ("Pruner", str(facts.get("pruner", ""))),
        ("Storage", str(facts.get("storage", ""))),
        ("Started", str(facts.get("created", ""))),
    ]
    return [(name, text) for name, text in lines if text]


def _table(sweep: Sweep) -> Table:
    """Complete trials first, the best on top; then the others by number."""
    sign = -1.0 if sweep.maximize else 1.0
    ordered = sorted(sweep.complete, key=lambda t: (sign * float(t.value or 0.0), t.number))
    others = [trial for trial in sweep.trials if trial.value is None]
    keys = tuple(sweep.space)
    choices = tuple(3 + i for i, key in enumerate(keys) if sweep.choices(key) is not None)
    return Table(
        key="trials",
        title="Trials",
        caption="All trials, the best first. Values are of validation images; the calibrator's "
        "PSNR in dB is of held-out real images.",
        group_title="",
        columns=("Trial", "State", sweep.objective, *keys, "By seed", "PSNR", "Seconds", "Reason"),
        rows=tuple(Row("", _cells(sweep, trial)) for trial in [*ordered, *others]),
        frame=trials_frame(sweep),
        wordy=(1, *choices, 6 + len(keys)),
    )


def _cells(sweep: Sweep, trial: Trial) -> tuple[str, ...]:
    return (
        str(trial.number),
        trial.state,
        fixed(trial.value),
        *(_short(trial.params.get(key, EMPTY)) for key in sweep.space),
        " / ".join(fixed(value) for value in trial.values) or EMPTY,
        fixed(trial.calibrator.get("psnr"), 2),
        fixed(trial.seconds, 0),
        trial.error,
    )


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
