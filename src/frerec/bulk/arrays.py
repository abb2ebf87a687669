"""An npz of images as an input: guided-diffusion's ``arr_0`` and ``arr_1``, or ``images``."""

from pathlib import Path

from frerec.bulk.plan import Plan, make_plan
from frerec.data.image_arrays import ImageArray, open_image_array
from frerec.errors import DataError

DIGITS = 6


def plan_arrays(path: Path) -> Plan:
    """One row per image, in the array's order: ``000000.png``, or ``LABEL/000000.png``.

    The images are not read here, see :mod:`frerec.data.image_arrays`.

    Raises:
        DataError: If the file is no NumPy archive, has no such array, images of an unknown layout
            or type, or labels that do not fit or cannot be folders.
    """
    array = open_image_array(path.absolute())
    width = max(DIGITS, len(str(array.count - 1)))
    names = [f"{row:0{width}d}.png" for row in range(array.count)]
    if array.labels is not None:
        _check_folders(array)
        names = [f"{label}/{name}" for label, name in zip(array.labels, names, strict=True)]
    return make_plan(array.path.parent, array.addresses(), names)


def _check_folders(array: ImageArray) -> None:
    for text in sorted(set(array.labels or [])):
        if text in ("", "..") or text.startswith(".") or any(c in text for c in '/\\:"\0\n'):
            raise DataError(
                f"{array.path}::{array.label_name}: label {text!r} cannot be a folder's name;"
                " rename it"
            )
