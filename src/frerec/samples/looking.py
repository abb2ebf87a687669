"""A bounded look at a set of images: headers and pixels of some, spread over the table."""

from dataclasses import dataclass

import numpy as np

from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers import ImageHeader, read_header, read_pixels
from frerec.data.readers.policy import LUMA


@dataclass(frozen=True)
class Looked:
    """One image.

    Attributes:
        header: What the file says of itself.
        grey: float32 ``[H, W]`` in [0, 1]; colour by its luma.
        colour: ``grey``, ``colour``, or ``grey stored as colour`` where all channels are equal.
    """

    header: ImageHeader
    grey: np.ndarray
    colour: str


def look(manifest: Manifest, count: int) -> list[Looked]:
    """Decode ``count`` images at most, at equal distances in the table.

    Raises:
        DataError: If one of them cannot be read.
    """
    spread = np.linspace(0, len(manifest) - 1, min(count, len(manifest)))
    rows = np.unique(spread.round().astype(int)).tolist()

    def of_row(row: int) -> Looked:
        address = manifest.address(row)
        header, pixels = read_header(address), read_pixels(address)
        if pixels.ndim == 2:
            return Looked(header, pixels, "grey")
        equal = bool((pixels == pixels[..., :1]).all())
        colour = "grey stored as colour" if equal else "colour"
        return Looked(header, pixels[..., 0] if equal else pixels @ LUMA, colour)

    return list(in_threads(of_row, rows, total=len(rows), what="looking", progress=False))
