"""The report of a sweep: trials.csv, importances.json, figures and one self-contained page."""

import base64
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from frerec.report.figures import FigureFiles
from frerec.report.sweep_figures import write_sweep_figures
from frerec.report.sweep_run import Sweep, importances, read_sweep, trials_frame
from frerec.report.tabular import EMPTY, fixed, write_csv
from frerec.training_tools import write_json

NOTES = (
    "The best of many trials is the best partly by luck: its value on the validation images is "
    "optimistic, and the more so the more trials there were.",
    "No test image took part: the search reads validation results alone, and neither the study nor "
    "this page has a test result. Run the best settings once with `frerec benchmark` "
    "(sweep/best.yaml has the command) to learn how they do on test images.",
    "A trial's value is a mean over few seeds: differences of the size of their spread are none.",
)


def write_sweep_report(run_dir: Path, output: Path | None = None) -> Path:
    """Write trials.csv, importances.json, figures/ and index.html of a sweep.

    Args:
        run_dir: the folder that `frerec sweep` wrote.
        output: where they go, default run_dir/sweep, where the records lie.

    Returns:
        The path of index.html.

    Raises:
        DataError: where run_dir is no sweep's, or a file in it is damaged.
    """
    sweep = read_sweep(Path(run_dir))
    folder = Path(output) if output is not None else sweep.path / "sweep"
    folder.mkdir(parents=True, exist_ok=True)
    shares = importances(sweep)
    staging = folder / f".figures-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        page = render(sweep, shares, write_sweep_figures(sweep, shares, staging))
        shutil.rmtree(folder / "figures", ignore_errors=True)
        staging.rename(folder / "figures")
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    write_csv(trials_frame(sweep), folder / "trials.csv")
    write_json(folder / "importances.json", {"method": "fANOVA", "importances": shares})
    partial = folder / "index.html.partial"
    partial.write_text(page, encoding="utf-8", newline="\n")
    return partial.replace(folder / "index.html")


def render(sweep: Sweep, shares: Mapping[str, float], figures: Sequence[FigureFiles]) -> str:
    """The page as text: inline styles and figures, light and dark."""
    environment = Environment(
        loader=PackageLoader("frerec.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embed"] = _embed
    return environment.get_template("sweep.html.j2").render(
        sweep=sweep,
        facts=_facts(sweep),
        states=", ".join(
            f"{sweep.count(state)} {state}"
            for state in ("complete", "pruned", "failed", "running")
            if sweep.count(state)
        ),
        best=sweep.best,
        columns=list(sweep.space),
        rows=_rows(sweep),
        figures=figures,
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


def _rows(sweep: Sweep) -> list[tuple[str, ...]]:
    """Complete trials first, the best on top; then the others by number."""
    sign = -1.0 if sweep.maximize else 1.0
    ordered = sorted(sweep.complete, key=lambda t: (sign * float(t.value or 0.0), t.number))
    others = [trial for trial in sweep.trials if trial.value is None]
    return [
        (
            str(trial.number),
            trial.state,
            fixed(trial.value),
            *(_short(trial.params.get(key, EMPTY)) for key in sweep.space),
            " / ".join(fixed(value) for value in trial.values) or EMPTY,
            fixed(trial.calibrator.get("psnr"), 2),
            fixed(trial.seconds, 0),
            trial.error,
        )
        for trial in [*ordered, *others]
    ]


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _embed(file: Path) -> str:
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:image/svg+xml;base64,{content}"
