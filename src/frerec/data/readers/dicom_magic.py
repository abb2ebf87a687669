"""What tells a DICOM file by its bytes: `DICM` after a preamble of 128 (PS3.10, 7.1)."""

from frerec.data.address import Blob

_PREAMBLE, _MAGIC = 128, b"DICM"


def starts_dicom(head: bytes) -> bool:
    """Whether a file that begins like this is DICOM."""
    return head[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def is_dicom(blob: Blob) -> bool:
    """Whether a file is DICOM; errors as `Blob.stream`."""
    with blob.stream() as file:
        return starts_dicom(file.read(_PREAMBLE + len(_MAGIC)))
