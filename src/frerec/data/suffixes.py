"""Which files of a generator are taken for images, by their names in any case."""

from collections import Counter
from collections.abc import Iterable

from frerec.data.tree import IMAGE_SUFFIXES

READ_SUFFIXES = (*IMAGE_SUFFIXES, ".dcm", ".dicom")
"""Files that are taken for images."""

NOT_READ = (
    *(".bmp", ".dib", ".gif", ".webp", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl"),
    *(".ppm", ".pgm", ".tga", ".exr", ".npy", ".nii", ".nii.gz", ".mha", ".nrrd"),
)
"""Suffixes of images that are counted and warned of, not read."""


def count_not_read(names: Iterable[str]) -> str:
    """What a set holds in formats that are not read, in one line; "" for nothing."""
    others = Counter(next((s for s in NOT_READ if name.lower().endswith(s)), "") for name in names)
    del others[""]
    if not others:
        return ""
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
    return f"{kinds}: in formats that are not read, left out; convert them to PNG"
