"""A figure as files: both themes, as an image and as vectors, the same bytes for the same data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from frerec.errors import ConfigError
from frerec.report.style import LIGHT, THEMES, Theme, drawing

_DPI = 200
_WIDE = 9.0  # inches: at the width of a text, letters of a wider figure would be too small
FORMATS = ("png", "svg", "pdf")
PAGE_FORMATS = ("svg", "png")  # what a browser shows
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
        wide: whether it has so many panels across that it needs the page's whole width.
    """

    name: str
    title: str
    alt: str
    caption: str
    light: Mapping[str, Path]
    dark: Mapping[str, Path]
    section: str = "results"
    shown: str = "svg"
    wide: bool = False


def check_formats(formats: Sequence[str] | None, key: str) -> tuple[str, ...]:
    """The formats of figures that a report was asked for.

    Raises:
        ConfigError: names ``key`` where it is no list, one is unknown, or none can be shown on
            the page.
    """
    if formats is None or isinstance(formats, str):
        given = "null" if formats is None else formats
        raise ConfigError(f"{key}={given}: expected a list of {', '.join(FORMATS)}; [] draws none")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or (formats and not set(formats) & set(PAGE_FORMATS)):
        raise ConfigError(
            f"{key}=[{','.join(map(str, formats))}]: expected some of {', '.join(FORMATS)}, png or "
            "svg among them for the page; [] draws none"
        )
    return tuple(formats)


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
    formats: Sequence[str] = FORMATS,
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
        shown: as there; another of PAGE_FORMATS where it is not among ``formats``.
        formats: the suffixes; one of PAGE_FORMATS must be among them.
    """
    if shown not in formats:
        shown = next(suffix for suffix in PAGE_FORMATS if suffix in formats)
    files: dict[str, dict[str, Path]] = {}
    wide = False
    for theme in THEMES:
        stem = name if theme is LIGHT else f"{name}_{theme.name}"
        files[theme.name] = {suffix: folder / f"{stem}.{suffix}" for suffix in formats}
        with drawing(theme):
            figure = draw(theme)
            figure.draw_without_rendering()
            wide = bool(figure.get_size_inches()[0] > _WIDE)
            figure.set_layout_engine("none")  # laid out once, not once a file
            for suffix, file in files[theme.name].items():
                figure.savefig(file, dpi=_DPI, metadata=dict(_METADATA.get(suffix, {})))
    light, dark = files["light"], files["dark"]
    return FigureFiles(name, title, alt, caption.strip(), light, dark, section, shown, wide)
