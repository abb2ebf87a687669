"""Where samples differ from the real images in kind: storage, size, values, interpolation."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from frerec.data.manifest import Manifest
from frerec.samples.enlargement import enlargement
from frerec.samples.looking import Looked, look
from frerec.samples.values import value_differences

SHARE = 0.25  # [ours] shares of two small draws that differ by more are no chance
QUALITY = 5  # [ours] median JPEG qualities that differ by more are told
SIDES = 0.05  # [ours] so are median sides and aspect ratios, as fractions
_SHOWN = 4

_FORMATS = {"DICOM": "DICOM", "NIfTI": "NIfTI", "MAT": "MATLAB"}
_KINDS: dict[str, tuple[Callable[[Looked], str], str]] = {
    "format": (
        lambda seen: _FORMATS.get(seen.header.format, "images of stored values"),
        "DICOM, NIfTI and MATLAB files are scaled by a window or by their own range",
    ),
    "compression": (
        lambda seen: "JPEG" if seen.header.format == "JPEG" else "lossless",
        "JPEG compression changes the high frequencies",
    ),
    "colour": (lambda seen: seen.colour, "colour conversion changes the images of one side only"),
    "bit depth": (
        lambda seen: f"{seen.header.native_bits} bits",
        "fewer bits put a higher noise floor under the spectrum",
    ),
}


def check_against_real(samples: Manifest, real: Manifest, *, count: int = 32) -> list[str]:
    """Compare some samples with some real images in all that is not content.

    Format, compression, colour, bit depth, size and shape; the range of values, by robust
    percentiles, and whether they are inverted; and signs that samples were enlarged. Each such
    difference leaves its own trace in the spectrum, which a classifier could learn instead of the
    disease.

    Args:
        samples: The samples.
        real: The real images; those of the training split where there are splits.
        count: Images decoded on each side, spread over the table.

    Returns:
        One-line warnings; none where nothing differs.

    Raises:
        DataError: If one of these images cannot be read.
    """
    training = real.where(split="train")
    ours, theirs = look(samples, count), look(real.take(training) if len(training) else real, count)
    found = []
    for key, (kind, reason) in _KINDS.items():
        a, b = ([kind(seen) for seen in side] for side in (ours, theirs))
        if _apart(a, b):
            found.append(f"samples have {key} {_listed(a)}, real images {_listed(b)}: {reason}")
    return [
        *found,
        *_qualities(ours, theirs),
        *_sizes(ours, theirs),
        *value_differences(ours, theirs),
        *enlargement(ours, theirs),
    ]


def _apart(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    a, b = Counter(ours), Counter(theirs)
    return any(abs(a[v] / len(ours) - b[v] / len(theirs)) > SHARE for v in a.keys() | b.keys())


def _listed(values: Sequence[str]) -> str:
    common = [value for value, _ in Counter(values).most_common()]
    return ", ".join(sorted(common[:_SHOWN])) + (", ..." if len(common) > _SHOWN else "")


def _qualities(ours: Sequence[Looked], theirs: Sequence[Looked]) -> list[str]:
    known = [[s.header.quality for s in side if s.header.quality] for side in (ours, theirs)]
    if not all(known):
        return []
    a, b = (float(np.median(qualities)) for qualities in known)
    if abs(a - b) <= QUALITY:
        return []
    reason = _KINDS["compression"][1]
    return [f"samples have a JPEG quality of {a:.0f}, real images of {b:.0f}: {reason}"]


def _sizes(ours: Sequence[Looked], theirs: Sequence[Looked]) -> list[str]:
    sizes = [[f"{s.header.width}x{s.header.height}" for s in side] for side in (ours, theirs)]
    sides = [[min(s.header.height, s.header.width) for s in side] for side in (ours, theirs)]
    shapes = [[s.header.width / s.header.height for s in side] for side in (ours, theirs)]
    one_size = min(len(set(side)) for side in sizes) == 1
    found = []
    if _differ(*sides) or (one_size and _apart(*sizes)):
        found.append(
            f"samples have size {_listed(sizes[0])}, real images {_listed(sizes[1])}: resizing"
            " changes the spectrum"
        )
    if _differ(*shapes):
        a, b = (float(np.median(side)) for side in shapes)
        found.append(
            f"samples have an aspect ratio of {a:.2f} (width over height), real images of {b:.2f}:"
            " one side is cropped, padded or squeezed to fit"
        )
    return found


def _differ(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    a, b = float(np.median(ours)), float(np.median(theirs))
    return abs(a - b) > SIDES * max(a, b)
