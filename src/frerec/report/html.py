"""The report as one HTML page that needs nothing but itself."""

import base64
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from frerec.report.comparisons import compare
from frerec.report.context_tables import counts_table, published_table
from frerec.report.figures import FigureFiles
from frerec.report.published import ABLATION, BIBTEX, CITATION, INFERENCE
from frerec.report.run import Run
from frerec.report.tabular import Table

NOTES = (
    "The intervals are over seeds only: how the results would move with other patients in the "
    "training or test set is not in them.",
    "The synthetic set and the FreRec fit are shared by all seeds: how the results would move "
    "with another generator run or another fit is not in the intervals either.",
    "A comparison of augmentations says as much as its generator is good: read it with the "
    "sample quality beside it.",
)

_MIME = {".svg": "image/svg+xml", ".png": "image/png"}


def render(run: Run, tables: Sequence[Table], figures: Sequence[FigureFiles]) -> str:
    """The page as text.

    Args:
        run: the run.
        tables: as `frerec.report.tables.all_tables` gives them.
        figures: as `frerec.report.figures.write_figures` wrote them; embedded, not linked.

    Returns:
        HTML with inline styles and embedded images, light and dark.
    """
    environment = Environment(
        loader=PackageLoader("frerec.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["embed"] = embed
    by_key = {table.key: table for table in tables}
    sentences: dict[str, list[tuple[str, str]]] = {}
    for comparison in compare(run):
        block = sentences.setdefault(comparison.group.title, [])
        block.append((comparison.question, comparison.sentence))
    seeds = sorted({cell.seed for cell in run.cells})
    return environment.get_template("index.html.j2").render(
        run=run,
        states=_states(run),
        facts=_facts(run, seeds),
        tables=by_key,
        counts=counts_table(run) if run.counts else None,
        published=published_table(run),
        sentences=sentences,
        warnings=[text for table in tables for text in table.warnings],
        figures={figure.name: figure for figure in figures},
        card=[(key, _plain(value)) for key, value in run.showcase.card.items()]
        if run.showcase
        else [],
        notes=_notes(run, seeds),
        ablation=ABLATION.values(),
        inference=INFERENCE,
        citation=CITATION,
        bibtex=BIBTEX,
    )


def embed(file: Path) -> str:
    """A file as a data: address."""
    content = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:{_MIME[file.suffix]};base64,{content}"


def _states(run: Run) -> str:
    finished = f"{run.count('finished')} of {run.count()} cells finished"
    others = [
        f"{run.count(state)} {state}"
        for state in ("failed", "running", "pending")
        if run.count(state)
    ]
    return ", ".join([finished, *others])


def _facts(run: Run, seeds: Sequence[int]) -> list[tuple[str, str]]:
    classifiers = dict.fromkeys(cell.classifier for cell in run.cells)
    generators = dict.fromkeys(cell.generator for cell in run.cells if cell.generator)
    if not generators and run.showcase and run.showcase.generator:
        generators = {run.showcase.generator: None}
    facts = [
        ("Data set", ", ".join(filter(None, (run.dataset, run.modality)))),
        ("Classes", ", ".join(run.classes)),
        ("Image size", f"{run.image_size} × {run.image_size} pixels" if run.image_size else ""),
        ("Generator", ", ".join(generators)),
        ("Classifier" if len(classifiers) == 1 else "Classifiers", ", ".join(classifiers)),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Hardware", _hardware(run)),
        ("Started", run.created),
    ]
    return [(name, text) for name, text in facts if text]


def _hardware(run: Run) -> str:
    known = {"cpu": "{}", "cores": "{} cores", "gpu": "{}"}
    texts = dict(run.hardware) | ({"gpu": "no GPU"} if run.hardware.get("gpu") == "none" else {})
    return ", ".join(known.get(key, key + " {}").format(text) for key, text in texts.items())


def _notes(run: Run, seeds: Sequence[int]) -> list[str]:
    notes = list(NOTES)
    if 0 < len(seeds) < 5:
        notes.append(
            f"{len(seeds)} seed{'s are' if len(seeds) > 1 else ' is'} few: the intervals are "
            "wide, and only a large difference can be told from none. Five or more are better."
        )
    if run.published is None:
        notes.append("The paper has no such data set: its numbers are not comparable.")
    return notes


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
