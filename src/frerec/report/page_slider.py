"""The images before and after calibration, for the slider of the page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from frerec.report.run import Run
from frerec.report.showcase import SET_TITLES, Showcase

EXAMPLES = 6
"""How many images of a kind the page embeds; the classes in turn."""


@dataclass(frozen=True)
class Shot:
    """One image: the set that it is of, its address as data, what it shows, its size in pixels."""

    name: str
    title: str
    source: str
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Example:
    """An image as it was (the first shot) and at each stage of calibration.

    `family` is the same for the examples that have the same stages, such as "synthetic-0";
    `lead` names its data set where there are several.
    """

    family: str
    lead: str
    label: str
    shots: tuple[Shot, ...]


def examples(run: Run, count: int = EXAMPLES) -> list[Example]:
    """The images that the showcase has a calibrated twin of.

    Args:
        run: the run; each of its sources may have a showcase.
        count: the most examples of a family.

    Returns:
        Synthetic images first, then real ones. A set whose shape is not that of the images before
        it is left out: its images cannot be told to be the same ones.
    """
    found = []
    for number, source in enumerate(run.sources):
        if source.showcase is not None:
            lead = f"{source.dataset}: " if len(run.sources) > 1 else ""
            for kind in ("synthetic", "real"):
                found += _family(source.showcase, kind, number, lead, source.classes, count)
    return found


def _family(
    show: Showcase, kind: str, number: int, lead: str, classes: Sequence[str], count: int
) -> list[Example]:
    if kind not in show.images:
        return []
    shape = show.images[kind].shape
    twins = [name for name in SET_TITLES if name.startswith(f"{kind}_") and name in show.images]
    names = [kind, *(name for name in twins if show.images[name].shape == shape)]
    if len(names) == 1:
        return []
    labels = show.labels.get(kind)
    found = []
    for place, i in enumerate(_in_turn(labels, shape[0], count), start=1):
        label = "" if labels is None else f", {_class(int(labels[i]), classes)}"
        text = f"{kind} {place}{label}"
        shots = tuple(_shot(name, show.images[name][i], lead + text) for name in names)
        found.append(Example(f"{kind}-{number}", lead, text, shots))
    return found


def png(image: np.ndarray) -> bytes:
    """An image as a PNG without loss.

    Args:
        image: uint8 [1 or 3, H, W].
    """
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG", optimize=True)
    return out.getvalue()


def _shot(name: str, image: np.ndarray, text: str) -> Shot:
    title = SET_TITLES[name]
    height, width = image.shape[-2:]
    source = "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")
    return Shot(name, title, source, f"Example image {text}: {title}.", width, height)


def _class(label: int, classes: Sequence[str]) -> str:
    return classes[label] if 0 <= label < len(classes) else f"class {label}"


def _in_turn(labels: np.ndarray | None, available: int, count: int) -> list[int]:
    """Positions of the first images of each class in turn, all of one class without labels."""
    if labels is None:
        return list(range(min(available, count)))
    ranks = np.array([np.sum(labels[:i] == label) for i, label in enumerate(labels)], dtype=int)
    return [int(i) for i in np.lexsort((labels, ranks))[:count]]
