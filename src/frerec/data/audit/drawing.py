"""Sheets of small pictures with captions, drawn with Pillow."""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

TILE = 144
"""Side of a picture on a sheet, in pixels."""

TEXT, MUTED, ALARM = "#1b1f24", "#5b6570", "#b3261e"
_GROUND = "#ffffff"
_EMPTY = "#f1f3f5"
_MARGIN, _GAP = 20, 8
_TITLE, _SUBTITLE, _CAPTION = 22, 14, 12
_LINE = 16


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib and has most of the world's letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


class Sheet:
    """A page of equal cells, filled one by one from the left, row by row.

    Args:
        title, subtitle: at the top; cut where they are too long.
        cells: how many cells there will be.
        columns: cells a row.
        pictures: pictures side by side in a cell.
        lines: lines of caption under each picture.
    """

    def __init__(
        self, title: str, subtitle: str, *, cells: int, columns: int, pictures: int = 1, lines: int
    ) -> None:
        self._columns = columns
        self._pictures = pictures
        self._wide = pictures * TILE + (pictures - 1) * 2 + _GAP * (2 if pictures > 1 else 1)
        self._high = TILE + lines * _LINE + _GAP
        rows = -(-cells // columns)
        self._top = _MARGIN + _TITLE + _SUBTITLE + 24
        size = (
            2 * _MARGIN + columns * self._wide - _GAP * (2 if pictures > 1 else 1),
            self._top + rows * self._high + _MARGIN - _GAP,
        )
        self._page = Image.new("RGB", size, _GROUND)
        self._draw = ImageDraw.Draw(self._page)
        self._cell = 0
        room = size[0] - 2 * _MARGIN
        self._write(_MARGIN, _MARGIN, title, _font(_TITLE, bold=True), TEXT, room)
        below = _MARGIN + _TITLE + 8
        self._write(_MARGIN, below, subtitle, _font(_SUBTITLE), MUTED, room)

    def add(self, *pictures: Tensor, captions: list[list[str]], alarm: bool = False) -> None:
        """Fill the next cell.

        Args:
            pictures: one tensor [C, H, W] in [0, 1] for each picture of the cell.
            captions: the lines under each.
            alarm: write the last line in red.
        """
        row, column = divmod(self._cell, self._columns)
        self._cell += 1
        for position, (picture, lines) in enumerate(zip(pictures, captions, strict=True)):
            left = _MARGIN + column * self._wide + position * (TILE + 2)
            top = self._top + row * self._high
            small = thumbnail(picture)
            self._draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), fill=_EMPTY)
            place = (left + (TILE - small.width) // 2, top + (TILE - small.height) // 2)
            self._page.paste(small, place)
            for number, line in enumerate(lines):
                last = number == len(lines) - 1
                colour = ALARM if alarm and last else TEXT if number == 0 else MUTED
                below = top + TILE + 2 + number * _LINE
                self._write(left, below, line, _font(_CAPTION), colour, TILE)

    def save(self, path: Path) -> Path:
        """Write as PNG."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._page.save(path, optimize=True)
        return path

    def _write(
        self, left: int, top: int, text: str, font: ImageFont.FreeTypeFont, colour: str, room: int
    ) -> None:
        text = " ".join(text.split())
        if font.getlength(text) > room:
            while text and font.getlength(text + "…") > room:
                text = text[:-1]
            text += "…"
        self._draw.text((left, top), text, fill=colour, font=font)


def thumbnail(image: Tensor) -> Image.Image:
    """An image [C, H, W] in [0, 1] that fits into a tile: reduced, or enlarged a whole number."""
    levels = (image.clamp(0, 1) * 255).round().byte().numpy()
    picture = Image.fromarray(levels[0] if len(levels) == 1 else np.moveaxis(levels, 0, -1))
    longer = max(picture.size)
    if longer <= TILE:
        times = TILE // longer
        size = (picture.width * times, picture.height * times)
        return picture.resize(size, Image.Resampling.NEAREST)
    size = (
        max(1, round(picture.width * TILE / longer)),
        max(1, round(picture.height * TILE / longer)),
    )
    return picture.resize(size, Image.Resampling.LANCZOS)
