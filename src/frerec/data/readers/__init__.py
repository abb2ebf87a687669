"""Addresses to tensors: one module a family of formats, one intensity policy (`policy`)."""

from frerec.data.readers.dispatch import read_described, read_header, read_image, read_pixels
from frerec.data.readers.policy import PIXEL_LIMIT, ImageHeader, ReadOptions

__all__ = [
    "PIXEL_LIMIT",
    "ImageHeader",
    "ReadOptions",
    "read_described",
    "read_header",
    "read_image",
    "read_pixels",
]
