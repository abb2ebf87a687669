"""NIfTI through nibabel: axial slices of a volume, upright, on the volume's own scale.

`volume.nii.gz::077` is slice 77, from 0, along the third axis once the axes were permuted and
flipped to RAS+ (`nibabel.as_closest_canonical`: x grows to the patient's right, y to anterior, z to
superior). It is shown in radiological convention: rows run from anterior (top) to posterior,
columns from the patient's right (left of the image) to left. Nothing is resampled, so an oblique
volume's slices are its own planes.

Intensities are `scl_slope` and `scl_inter` applied, then the volume's own range (`policy`): all
slices of a volume share one scale. The last few volumes stay decoded, so that reading their slices
in order decompresses each volume once.
"""

import numpy as np

from frerec.data.address import Blob
from frerec.data.readers.nifti_volume import Layout, volume_of
from frerec.data.readers.policy import ImageHeader, ReadOptions, check_pixels, scale_to
from frerec.errors import DataError


def header(blob: Blob, index: str, options: ReadOptions) -> ImageHeader:
    """See `policy.Reader`; from the file's first bytes. `mode` is the stored type."""
    layout = volume_of(blob).layout()
    _check_slice(blob, index, layout, options)
    width, height, _ = layout.canonical
    return ImageHeader(height, width, 32, False, "NIfTI", layout.dtype.name)


def pixels(blob: Blob, index: str, options: ReadOptions) -> np.ndarray:
    """See `policy.Reader`."""
    volume = volume_of(blob)
    layout = volume.layout()
    k = _check_slice(blob, index, layout, options)
    limits = volume.limits(options.mri_percentile)
    image = layout.scaled(axial_slice(volume.voxels(), k))
    return scale_to(image, *limits)


def load_volume(blob: Blob) -> np.ndarray:
    """A file's volume in its own units.

    Returns:
        float32 [X, Y, Z] in RAS+.

    Raises:
        DataError: as for `read_pixels`; the file is named.
    """
    return volume_of(blob).scaled()


def axial_slice(volume: np.ndarray, k: int) -> np.ndarray:
    """Slice k of a volume [X, Y, Z] in RAS+ as an image [H, W] = [Y, X], radiologically."""
    return volume[::-1, ::-1, k].T


def slice_index(k: int) -> str:
    """How an address writes a slice, padded so that name order is slice order: `077`."""
    return f"{k:03d}"


def parse_index(index: str) -> int:
    """The slice that an address names; ValueError where it is no number from 0."""
    if not (index.isascii() and index.isdecimal()):
        raise ValueError(f"slice {index!r}, expected a number such as 077")
    return int(index)


def _check_slice(blob: Blob, index: str, layout: Layout, options: ReadOptions) -> int:
    width, height, depth = layout.canonical
    check_pixels(blob.name, height, width, options)
    last = slice_index(depth - 1)
    if not index:
        raise DataError(
            f"{blob.name}: a volume of {depth} axial slices; name one of them, "
            f"{blob.filename}::{slice_index(0)} to {blob.filename}::{last}"
        )
    try:
        k = parse_index(index)
    except ValueError:
        k = depth
    if k >= depth:
        raise DataError(
            f"{blob.name}::{index}: no such slice; expected a number from {slice_index(0)} to "
            f"{last}"
        )
    return k
