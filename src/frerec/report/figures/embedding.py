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

_SERIES = {"before": ("real", "synthetic"), "after": ("real_frerec", "synthetic_frerec")}
_NAMES = {"before": ("real", "synthetic"), "after": ("real, calibrated", "synthetic, calibrated")}


def shown_methods(show: Showcase) -> list[str]:
    """The methods with points of a stage."""
    return [m for m in METHODS if any(m in stage.points for stage in show.embedding.values())]


def embedding_figure(show: Showcase, classes: Sequence[str], theme: Theme) -> Figure:
    """A row a method, a column a stage; colour and filling are the set, the marker the class."""
    methods, stages = shown_methods(show), [s for s in STAGES if s in show.embedding]
    size = (0.4 + 3.7 * len(stages), 0.9 + 3.5 * len(methods))
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
            panel.set_title(_title(embedding, method, stage), fontsize=9.5)
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_visible(True)
                spine.set_alpha(0.4)
    figure.legend(handles=_handles(show, classes, stages, theme), loc="outside lower center",
                  ncols=3, fontsize=9)  # fmt: skip
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
    texts = [
        f"{STAGES[stage].capitalize()}: {_count(embedding)} {notes.get('split', '')} images and "
        f"as many samples in the {notes.get('classifier', 'classifier')} of arm "
        f"{notes.get('arm', '?')}, seed {notes.get('seed', '?')}."
        for stage, embedding in show.embedding.items()
        for notes in [embedding.notes]
    ]
    before = show.embedding.get("before")
    if before is not None and before.overlap_calibrated is not None:
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


def _points(panel: Axes, embedding: Embedding, method: str, stage: str, theme: Theme) -> None:
    for code, series in enumerate(_SERIES[stage]):
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
    overlap = "" if embedding.overlap is None else f", 1-NN {fixed(embedding.overlap, 2)}"
    return f"{METHODS[method]} {STAGES[stage]}{overlap}"


def _count(embedding: Embedding) -> int:
    return int((embedding.sets == 0).sum())


def _handles(
    show: Showcase, classes: Sequence[str], stages: Sequence[str], theme: Theme
) -> list[Line2D]:
    handles = [
        Line2D([], [], marker="o", ls="", ms=6, color=theme.series[series], label=name,
               mfc=theme.series[series] if series.startswith("real") else "none")
        for stage in stages
        for series, name in zip(_SERIES[stage], _NAMES[stage], strict=True)
    ]  # fmt: skip
    numbers = np.unique(np.concatenate([show.embedding[stage].labels for stage in stages]))
    for number in map(int, numbers):
        name = classes[number] if 0 <= number < len(classes) else f"class {number}"
        marker = look(theme, number).marker
        handles.append(Line2D([], [], marker=marker, ls="", ms=6, color=theme.muted, label=name))
    return handles
