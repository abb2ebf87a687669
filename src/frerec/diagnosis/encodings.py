"""How the files of the two sets were stored: a difference alone lets a detector succeed."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from frerec.data.readers import ImageHeader
from frerec.diagnosis.images import Files

SHARE = 0.05  # [ours] shares of the two sets that differ by more are warned of
QUALITY = 5  # [ours] so are median JPEG qualities

_KINDS: dict[str, tuple[Callable[[ImageHeader], str], str]] = {
    "compression": (
        lambda h: "JPEG" if h.format == "JPEG" else "lossless",
        "JPEG compression removes and adds high frequencies",
    ),
    "size": (
        lambda h: f"{h.width}x{h.height}",
        "resizing changes the spectrum of one set more than the other's",
    ),
    "colour mode": (
        lambda h: "colour" if h.colour else "grey",
        "colour conversion changes the images of one set only",
    ),
    "bit depth": (
        lambda h: f"{h.native_bits} bits",
        "fewer bits put a higher noise floor under the spectrum",
    ),
}


def described(headers: Sequence[ImageHeader]) -> dict[str, Any]:
    """Counts of formats, sizes, colour modes and bit depths; the median JPEG quality or None."""
    quality = _quality(headers)
    return {
        "formats": _counts(h.format for h in headers),
        "sizes": _counts(f"{h.width}x{h.height}" for h in headers),
        "colour_modes": _counts("colour" if h.colour else "grey" for h in headers),
        "bits": _counts(str(h.native_bits) for h in headers),
        "jpeg_quality": quality,
    }


def differences(real: Files, synthetic: Files) -> list[str]:
    """One-line warnings; none where the files of both sets were stored alike."""
    warnings = []
    for name, (kind, reason) in _KINDS.items():
        ours, theirs = (Counter(map(kind, files.headers)) for files in (synthetic, real))
        value = max(
            ours.keys() | theirs.keys(),
            key=lambda v: (abs(ours[v] / len(synthetic) - theirs[v] / len(real)), ours[v], v),
        )
        shares = ours[value] / len(synthetic), theirs[value] / len(real)
        if abs(shares[0] - shares[1]) > SHARE:
            warnings.append(
                f"The sets differ in {name}: {value} is {100 * shares[0]:.0f} % of the synthetic "
                f"and {100 * shares[1]:.0f} % of the real images. {reason[0].upper()}{reason[1:]}: "
                "that alone can make a detector succeed."
            )
    quality = [q for q in map(_quality, (synthetic.headers, real.headers)) if q is not None]
    if len(quality) == 2 and abs(quality[0] - quality[1]) > QUALITY:
        warnings.append(
            f"The sets differ in JPEG quality: the median is {quality[0]:.0f} for synthetic and "
            f"{quality[1]:.0f} for real images. That alone can make a detector succeed."
        )
    return warnings


def _quality(headers: Sequence[ImageHeader]) -> float | None:
    known = [h.quality for h in headers if h.quality]
    return float(np.median(known)) if known else None


def _counts(values: Any) -> dict[str, int]:
    """By value, the commonest first; at most ten, the rest as `other`."""
    common = Counter(values).most_common()
    counts = dict(common[:10])
    if len(common) > 10:
        counts["other"] = sum(n for _, n in common[10:])
    return counts
