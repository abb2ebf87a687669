"""The report as one HTML page that needs nothing but itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from frerec.report.comparisons import compare
from frerec.report.context_tables import counts_table, published_table
from frerec.report.figures import FigureFiles
from frerec.report.page_cells import cell_records, cells_table
from frerec.report.page_environment import page_environment, page_script
from frerec.report.page_facets import FACETS, Facets
from frerec.report.page_sections import arrange
from frerec.report.page_slider import examples
from frerec.report.page_tables import page_table
from frerec.report.published import ABLATION, BIBTEX, CITATION, INFERENCE
from frerec.report.run import Run
from frerec.report.tabular import Table

NOTES = (
    "The Student-t intervals are over seeds only; those over seeds and patients draw the patients "
    "of the test set anew too. How the results would move with other patients in the training set "
    "is in neither.",
    "The synthetic set, the FreRec fit and the ceiling's real images are shared by all seeds: how "
    "the results would move with another generator run, another fit or other withheld images is "
    "not in them either.",
    "A comparison of augmentations says as much as its generator is good: read it with the "
    "sample quality beside it.",
)


@dataclass(frozen=True)
class Finding:
    """What a comparison was made for and what it shows; `attributes` say whom it names."""

    question: str
    sentence: str
    attributes: Mapping[str, str]


def render(
    run: Run,
    tables: Sequence[Table],
    figures: Sequence[FigureFiles],
    folder: Path | None = None,
) -> str:
    """The page as text.

    Args:
        run: the run.
        tables: as `frerec.report.tables.all_tables` gives them.
        figures: as `frerec.report.figures.write_figures` wrote them; embedded, not linked.
        folder: where the page will lie, for its links to the cells' files; run.path/report by
            default.

    Returns:
        HTML with inline styles, one inline script that the page's policy knows by its hash, and
        embedded images; light and dark. Without scripts everything is shown.
    """
    environment = page_environment()
    script = page_script(environment)
    facets = Facets(run)
    seeds = sorted({cell.seed for cell in run.cells})
    records = cell_records(run, folder if folder is not None else run.path / "report")
    overview = cells_table(run)
    cards = _cards(run)
    own = ("run", "comparisons", "images", "cells", *(("samples",) if cards else ()))
    return environment.get_template("index.html.j2").render(
        run=run,
        script=script.text,
        script_hash=script.sha256,
        states=_states(run),
        facts=_facts(run, seeds),
        facets={key: (FACETS[key], values) for key, values in facets.offered.items()},
        sections=arrange(tables, figures, facets, own),
        counts=[
            page_table(counts_table(source), facets, heading=False, narrow=True)
            for source in run.sources
            if source.counts
        ],
        cells=page_table(
            overview,
            facets,
            heading=False,
            anchors=[record.anchor for record in records.cells],
            links=[record.links for record in records.cells],
        ),
        records=records,
        record_attributes=facets.of_table(overview),
        published=[
            page_table(published, facets, heading=False, narrow=True)
            for published in {
                source.published: published_table(source) for source in run.sources
            }.values()
            if published is not None
        ],
        findings=_findings(run, facets),
        warnings=list(dict.fromkeys(text for table in tables for text in table.warnings)),
        examples=examples(run),
        missing=_missing(run),
        cards=cards,
        notes=_notes(run, seeds),
        ablation=ABLATION.values(),
        inference=INFERENCE,
        citation=CITATION,
        bibtex=BIBTEX,
    )


def _findings(run: Run, facets: Facets) -> dict[str, list[Finding]]:
    """The comparisons in words, by the title of their group."""
    found: dict[str, list[Finding]] = {}
    for comparison in compare(run):
        group = comparison.group
        named = facets.attributes(
            {
                "data": (group.data,),
                "classifier": (group.classifier,),
                "arm": (comparison.first, comparison.second),
            }
        )
        finding = Finding(comparison.question, comparison.sentence, named)
        title = group.title if comparison.family == "primary" else f"{group.title}: controls"
        found.setdefault(title, []).append(finding)
    return found


def _cards(run: Run) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each generator's name and what its card says."""
    found = []
    for source in run.sources:
        if (show := source.showcase) is not None and show.card:
            lead = f"{source.dataset}: " if len(run.sources) > 1 else ""
            name = lead + (show.generator or "unnamed")
            found.append((name, [(key, _plain(value)) for key, value in show.card.items()]))
    return found


def _missing(run: Run) -> list[tuple[str, str]]:
    """The parts of the showcase that failed, and why."""
    shows = [source.showcase for source in run.sources if source.showcase is not None]
    return [entry for show in shows for entry in show.missing.items()]


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
    if not run.references:
        notes.append("The paper has no such data set: its numbers are not comparable.")
    return notes


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
