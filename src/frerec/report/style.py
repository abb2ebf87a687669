"""How the figures look: a light and a dark theme with colours that colour-blind readers tell apart.

Colours are from Okabe and Ito (Color Universal Design, 2008); what a colour says is said a second
time by the line style or the marker.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes


@dataclass(frozen=True)
class Theme:
    """Colours of ground, text and lines; `series` by set of images, `cycle` by arm."""

    name: str
    ground: str
    text: str
    muted: str
    shade: str
    series: Mapping[str, str]
    cycle: tuple[str, ...]


LIGHT = Theme(
    name="light",
    ground="#ffffff",
    text="#1b1f24",
    muted="#5b6570",
    shade="#eef1f4",
    series={
        "real": "#1b1f24",
        "synthetic": "#d55e00",
        "synthetic_shr": "#cc79a7",
        "synthetic_frerec": "#0072b2",
        "synthetic_calibrated": "#0072b2",
        "real_frerec": "#009e73",
        "real_calibrated": "#009e73",
    },
    cycle=("#1b1f24", "#d55e00", "#0072b2", "#009e73", "#cc79a7", "#9a6a00", "#56b4e9"),
)
DARK = Theme(
    name="dark",
    ground="#14181d",
    text="#e8ecf0",
    muted="#a3adb8",
    shade="#20272f",
    series={
        "real": "#e8ecf0",
        "synthetic": "#f08a3c",
        "synthetic_shr": "#e3a0c5",
        "synthetic_frerec": "#56b4e9",
        "synthetic_calibrated": "#56b4e9",
        "real_frerec": "#2cc79b",
        "real_calibrated": "#2cc79b",
    },
    cycle=("#e8ecf0", "#f08a3c", "#56b4e9", "#2cc79b", "#e3a0c5", "#f0e442", "#8fb8ff"),
)
THEMES = (LIGHT, DARK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)))


@dataclass(frozen=True)
class Look:
    """How one of many things is drawn: no two of the first 36 share colour, line and marker."""

    colour: str
    line: Any
    marker: str


def look(theme: Theme, number: int) -> Look:
    """The look of the arm, class or setting with this number from 0.

    The first is the one that the others are compared with: its colour is its own.
    """
    others = theme.cycle[1:]
    return Look(
        others[(number - 1) % len(others)] if number else theme.cycle[0],
        _DASHES[number % len(_DASHES)],
        _MARKERS[number % len(_MARKERS)],
    )


@contextmanager
def drawing(theme: Theme) -> Iterator[None]:
    """Draw in a theme; the reader's own matplotlib settings neither matter nor change."""
    settings: dict[Any, Any] = {
        "font.family": "DejaVu Sans",
        "font.size": 10.5,
        # A class or a classifier may have a $ in its name.
        "text.parse_math": False,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 10.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.linewidth": 0.6,
        "grid.alpha": 0.35,
        "legend.frameon": False,
        "figure.facecolor": theme.ground,
        "axes.facecolor": theme.ground,
        "savefig.facecolor": theme.ground,
        "text.color": theme.text,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "axes.edgecolor": theme.muted,
        "grid.color": theme.muted,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.text,
        "ytick.labelcolor": theme.text,
        # The same drawing gives the same bytes.
        "svg.hashsalt": "frerec",
        # TrueType in the file, so that a PDF can be searched and edited everywhere.
        "pdf.fonttype": 42,
    }
    with mpl.rc_context(), warnings.catch_warnings():
        # A class may have a name in a script that the font lacks: it is drawn as boxes.
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from")
        mpl.rcdefaults()
        mpl.rcParams.update(settings)
        yield


def bare(panel: Axes) -> None:
    """Leave nothing of a panel's axes: it shows an image."""
    panel.set_xticks([])
    panel.set_yticks([])
    panel.grid(visible=False)
    for spine in panel.spines.values():
        spine.set_visible(False)
