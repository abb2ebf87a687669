"""What is known before anything is decoded: which images can be read, and their sizes."""

from frerec.data.decoding import Decoding
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers import ImageHeader, read_header
from frerec.data.resize import scale_factor
from frerec.errors import DataError

SMALLER = (
    "give a smaller data.image_size, data.upsample=true (which leaves high frequencies empty), or "
    "data.on_error=skip to leave such images out"
)


def read_headers(
    manifest: Manifest,
    decoding: Decoding,
    on_error: str,
    failed: dict[int, str],
    num_workers: int | None,
    progress: bool | None,
) -> dict[int, ImageHeader]:
    """Headers by row; rows whose header cannot be read go to `failed`, or raise."""

    def header_of(row: int) -> ImageHeader | None:
        try:
            return read_header(manifest.address(row), options=decoding.options)
        except DataError as error:
            if on_error == "raise":
                raise
            failed[row] = str(error)
            return None

    every = range(len(manifest))
    found = in_threads(
        header_of,
        every,
        total=len(every),
        what="reading headers",
        num_workers=num_workers,
        progress=progress,
    )
    return {row: head for row, head in zip(every, found, strict=True) if head is not None}


def too_small(
    names: list[str], headers: dict[int, ImageHeader], decoding: Decoding, on_error: str
) -> dict[int, str]:
    """Images that would have to be enlarged, with the reason; DataError unless they are skipped."""
    if decoding.image_size is None or decoding.upsample:
        return {}
    small = {
        row: f"{h.width}x{h.height} pixels, smaller than data.image_size={decoding.image_size}"
        for row, h in headers.items()
        if scale_factor(h.height, h.width, decoding.image_size, decoding.fit) > 1
    }
    if small and on_error == "raise":
        first = next(iter(small))
        raise DataError(
            f"data.image_size={decoding.image_size}: {len(small)} images are smaller, the first "
            f"{names[first]} with {headers[first].width}x{headers[first].height}; {SMALLER}"
        )
    return small


def common_size(
    names: list[str], headers: dict[int, ImageHeader], decoding: Decoding
) -> tuple[int, int]:
    """The stack's height and width; DataError where native sizes are kept but differ."""
    if decoding.image_size is not None:
        return decoding.image_size, decoding.image_size
    first = next(iter(headers))
    size = (headers[first].height, headers[first].width)
    for row, header in headers.items():
        if (header.height, header.width) != size:
            raise DataError(
                f"images differ in size: {names[first]} is {size[1]}x{size[0]}, {names[row]} "
                f"is {header.width}x{header.height}; give data.image_size=..."
            )
    return size
