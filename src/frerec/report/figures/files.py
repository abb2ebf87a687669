"""A figure as files: both themes, as an image and as vectors, the same bytes for the same data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from frerec.report.style import LIGHT, THEMES, Theme, drawing

_DPI = 200
FORMATS = ("png", "svg", "pdf")
# The time of writing, which these formats would hold.
_METADATA: Mapping[str, Mapping[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@dataclass(frozen=True)
class FigureFiles:
    """A figure as written.

    Attributes:
        name: file stem.
        title: heading.
        alt: what a reader who cannot see it needs to know.
        caption: what is drawn.
        light: suffix (png, svg, pdf) -> file.
        dark: the same for the dark theme.
        section: key of the page's section that it stands in; see `frerec.report.sections`.
        shown: the suffix that the page embeds: svg for lines, png for images.
    """

    name: str
    title: str
    alt: str
    caption: str
    light: Mapping[str, Path]
    dark: Mapping[str, Path]
    section: str = "results"
    shown: str = "svg"


def save_figure(
    folder: Path,
    name: str,
    draw: Callable[[Theme], Figure],
    *,
    title: str,
    alt: str,
    caption: str,
    section: str,
    shown: str = "svg",
) -> FigureFiles:
    """Draw a figure in both themes into ``folder``: NAME.SUFFIX and NAME_dark.SUFFIX.

    Args:
        folder: must exist.
        name: file stem.
        draw: makes the figure; called once a theme, inside ``drawing(theme)``.
        title: as in :class:`FigureFiles`, like the others.
        alt: as there.
        caption: as there.
        section: as there.
        shown: as there.
    """
    files: dict[str, dict[str, Path]] = {}
    for theme in THEMES:
        stem = name if theme is LIGHT else f"{name}_{theme.name}"
        files[theme.name] = {suffix: folder / f"{stem}.{suffix}" for suffix in FORMATS}
        with drawing(theme):
            figure = draw(theme)
            figure.draw_without_rendering()
            figure.set_layout_engine("none")  # laid out once, not once a file
            for suffix, file in files[theme.name].items():
                figure.savefig(file, dpi=_DPI, metadata=dict(_METADATA.get(suffix, {})))
    light, dark = files["light"], files["dark"]
    return FigureFiles(name, title, alt, caption.strip(), light, dark, section, shown)
