"""Features of the classifiers in the plane: real against synthetic, before and after."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from frerec.report.embedding import METHODS, STAGES, Embedding
from frerec.report.showcase import Showcase
from frerec.report.style import Theme, look
from frerec.report.tabular import fixed

_SIZE = 3.5  # inches a panel


def shown_methods(show: Showcase) -> list[str]:
    """The methods with points of a stage."""
    return [m for m in METHODS if any(m in stage.points for stage in show.embedding.values())]


def embedding_figure(show: Showcase, classes: Sequence[str], theme: Theme) -> Figure:
    """A row a method, a column a stage; colour and filling are the set, the marker the class."""
    methods, stages = shown_methods(show), [s for s in STAGES if s in show.embedding]
    size = (0.3 + _SIZE * len(stages), 1.1 + _SIZE * len(methods))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(methods), len(stages), squeeze=False)
    for row, method in zip(panels, methods, strict=True):
        for panel, stage in zip(row, stages, strict=True):
            embedding = show.embedding[stage]
            if method in embedding.points:
                _points(panel, embedding, method, stage, theme)
            else:
                reason = show.missing.get(f"{method} {stage}", "")
                panel.text(0.5, 0.5, f"missing\n{reason[:60]}".strip(), ha="center", va="center",
                           transform=panel.transAxes, color=theme.muted, wrap=True)  # fmt: skip
            panel.set_title(_title(embedding, method, stage), fontsize=9, fontweight="normal")
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_visible(True)
                spine.set_alpha(0.4)
    figure.legend(handles=_handles(show, classes, stages, theme), loc="outside lower center",
                  ncols=len(stages) + 1, fontsize=9)  # fmt: skip
    return figure


def embedding_alt(show: Showcase) -> str:
    """The overlaps in words."""
    parts = [
        f"{STAGES[stage]} {fixed(embedding.overlap, 2)}"
        for stage, embedding in show.embedding.items()
        if embedding.overlap is not None
    ]
    names = " and ".join(METHODS[method] for method in shown_methods(show))
    return (
        f"{names} of classifier features of real and synthetic images. Accuracy of the nearest "
        f"neighbour at telling the two apart: {', '.join(parts) or 'not known'}; 0.5 is ideal."
    )


def embedding_caption(show: Showcase) -> str:
    """What is drawn, of which classifiers, and what the numbers are."""
    texts = [_stage_in_words(stage, show.embedding[stage]) for stage in show.embedding]
    before = show.embedding.get("before")
    if "calibrated" in show.embedding:
        texts.append(
            "Before and after differ in split and classifier, too; the two panels of the same "
            "classifier differ in the images alone."
        )
    elif before is not None and before.overlap_calibrated is not None:
        texts.append(
            "The calibrated images in the classifier of before, where only the images differ: "
            f"1-NN {fixed(before.overlap_calibrated, 2)}."
        )
    return (
        "Penultimate features. Distances and gaps in such a plane mislead, so the number above "
        "each panel is taken in the features themselves: the accuracy of the nearest neighbour "
        "(1-NN) at telling real from synthetic, 0.5 is ideal and 1 no overlap. Before, the "
        "classifier was trained on none of the images, after, on all of them. "
    ) + " ".join(texts)


def _stage_in_words(stage: str, embedding: Embedding) -> str:
    notes = embedding.notes
    count, split = int((embedding.sets == 0).sum()), notes.get("split", "")
    treated = {True: "calibrated real", False: "real (not calibrated)"}
    real = "real" if stage == "before" else treated.get(notes.get("real_calibrated"), "real")  # type: ignore[arg-type]
    words = " ".join(filter(None, (real, split, "images")))
    samples = f"as many{' calibrated' if stage != 'before' else ''} samples"
    return (
        f"{STAGES[stage].capitalize()}: {count} {words} and {samples} in the "
        f"{notes.get('classifier', 'classifier')} of arm {notes.get('arm', '?')}, "
        f"seed {notes.get('seed', '?')}."
    )


def _points(panel: Axes, embedding: Embedding, method: str, stage: str, theme: Theme) -> None:
    for code, (series, _) in enumerate(_series(stage, embedding)):
        colour = theme.series[series]
        for number in np.unique(embedding.labels):
            chosen = (embedding.sets == code) & (embedding.labels == number)
            # Filled is real, open is synthetic: the colour is not all that tells them apart.
            x, y = embedding.points[method][chosen].T
            panel.scatter(
                x,
                y,
                s=17,
                marker=look(theme, int(number)).marker,
                facecolors=colour if code == 0 else "none",
                edgecolors=colour,
                lw=0.9,
                alpha=0.75,
            )


def _title(embedding: Embedding, method: str, stage: str) -> str:
    """Method and stage; then whose features of which split they are, and how far they overlap."""
    notes = embedding.notes
    parts = [str(notes["split"])] if notes.get("split") else []
    parts += [f"classifier of {notes['arm']}"] if notes.get("arm") else []
    parts += [] if embedding.overlap is None else [f"1-NN {fixed(embedding.overlap, 2)}"]
    lines = [f"{METHODS[method]}, {STAGES[stage]}", ", ".join(parts)]
    if embedding.overlap_calibrated is not None:
        lines.append(f"the same, calibrated: 1-NN {fixed(embedding.overlap_calibrated, 2)}")
    return "\n".join(filter(None, lines))


def _real_name(stage: str, embedding: Embedding) -> str:
    """Most baselines calibrate the samples alone; older runs do not say."""
    if stage == "before":
        return "real"
    words = {True: "real, calibrated", False: "real, not calibrated"}
    return words.get(embedding.notes.get("real_calibrated"), "real, as the arm has them")  # type: ignore[arg-type]


def _series(stage: str, embedding: Embedding) -> list[tuple[str, str]]:
    """Colour and name of the real and of the synthetic images of a stage."""
    name = _real_name(stage, embedding)
    plain = name in ("real", "real, not calibrated")
    synthetic = ("synthetic", "synthetic")
    if stage != "before":
        synthetic = ("synthetic_frerec", "synthetic, calibrated")
    return [("real" if plain else "real_frerec", "real" if plain else name), synthetic]


def _handles(
    show: Showcase, classes: Sequence[str], stages: Sequence[str], theme: Theme
) -> list[Line2D]:
    named = dict.fromkeys(
        pair for stage in stages for pair in _series(stage, show.embedding[stage])
    )
    handles = [
        Line2D([], [], marker="o", ls="", ms=6, color=theme.series[series], label=name,
               mfc=theme.series[series] if series.startswith("real") else "none")
        for series, name in named
    ]  # fmt: skip
    numbers = np.unique(np.concatenate([show.embedding[stage].labels for stage in stages]))
    for number in map(int, numbers):
        name = classes[number] if 0 <= number < len(classes) else f"class {number}"
        marker = look(theme, number).marker
        handles.append(Line2D([], [], marker=marker, ls="", ms=6, color=theme.muted, label=name))
    return handles
