"""How images are decoded, and which ones could not be."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from frerec.data.readers import ReadOptions
from frerec.data.resize import FITS, METHOD, scale_factor
from frerec.errors import ConfigError, DataError


@dataclass(frozen=True)
class Decoding:
    """How images are decoded; all of it changes their pixels, so all of it is part of their key.

    Attributes:
        channels: 1 or 3.
        image_size: side of the square images; None keeps native sizes, which must then agree.
        fit: `pad`, `crop` or `stretch`, see `resize.resize`.
        upsample: allow images smaller than `image_size` to be enlarged.
        options: of the readers.
    """

    channels: int
    image_size: int | None
    fit: str = "pad"
    upsample: bool = False
    options: ReadOptions = field(default_factory=ReadOptions)

    def __post_init__(self) -> None:
        if self.fit not in FITS:
            raise ConfigError(f"data.fit={self.fit}: expected one of {', '.join(FITS)}")
        if self.image_size is not None and self.image_size < 8:
            raise ConfigError(f"data.image_size={self.image_size}: expected at least 8 pixels")
        if self.options.crop is not None and self.image_size is None:
            raise ConfigError(
                f"data.crop={self.options.crop}: cropped images differ in size; give "
                f"data.image_size=..."
            )

    @property
    def resizing(self) -> dict[str, Any]:
        """What resizing does, for records: it changes the spectrum."""
        method = METHOD if self.image_size is not None else "none"
        return {"image_size": self.image_size, "method": method, "fit": self.fit}

    def described(self, height: int, width: int, *, cropped: bool = False) -> str:
        """What becomes of an image of this size before resizing, in words, for the manifest."""
        steps = []
        if self.options.crop is not None:
            found = f"cropped to {self.options.crop}"
            steps.append(found if cropped else "no disc found, taken whole")
        if self.image_size is not None and not height == width == self.image_size:
            scale = scale_factor(height, width, self.image_size, self.fit)
            method = f"{METHOD}, " if scale != 1 or self.fit == "stretch" else ""
            steps.append(f"{method}{self.fit} to {self.image_size}x{self.image_size}")
        return "; ".join(steps) or "none"


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and why."""

    image: str
    reason: str


def refuse_skipped(skipped: Sequence[Skipped], total: int) -> None:
    """Raise DataError with the first reason and the number, where images were left out."""
    if skipped:
        more = f"; {len(skipped)} of {total} images cannot be used" if len(skipped) > 1 else ""
        raise DataError(f"{skipped[0].reason}{more}")
