"""What a reader must know of the images before the numbers: warnings and facts."""

from collections.abc import Sequence
from typing import Any

from frerec.data.resize import METHOD
from frerec.diagnosis.encodings import described, differences
from frerec.diagnosis.images import Files, Reading, enlarged
from frerec.diagnosis.measuring import EPS
from frerec.diagnosis.sets import Measured


def warnings(files: Sequence[Files], measured: Sequence[Measured], reading: Reading) -> list[str]:
    """What makes the numbers doubtful, one line each.

    Args:
        files: the real and the synthetic ones.
        measured: the same.
        reading: how both were read.
    """
    real, synthetic = files
    found = differences(real, synthetic)
    if reading.image_size is not None:
        size = (reading.image_size, reading.image_size)
        counts = [sum((h.height, h.width) != size for h in f.headers) for f in files]
        if any(counts):
            found.append(
                f"{counts[0]} real and {counts[1]} synthetic images were resized to "
                f"{size[0]}x{size[0]} pixels ({METHOD}, fit={reading.fit}): resizing changes "
                "spectra, most of all in the high band."
            )
    for of_set, images in zip(files, measured, strict=True):
        larger = enlarged(of_set, reading)
        if larger:
            found.append(
                f"{larger} {of_set.key} images were enlarged: their high frequencies are empty."
            )
        skipped = of_set.skipped + len(of_set) - len(images)
        if skipped:
            found.append(f"{skipped} {of_set.key} images could not be read and were left out.")
        constant = int((images.raw.power[:, 1:].max(axis=1) <= EPS).sum())
        if constant:
            found.append(
                f"{constant} of {len(images)} {of_set.key} images are of one colour: they have no "
                "spectrum."
            )
    return found + _of_content(*measured)


def _of_content(real: Measured, synthetic: Measured) -> list[str]:
    """Images that stand in both sets, and samples that the model was fitted on."""
    found = []
    known = set(real.keys.tolist())
    shared = sum(key in known for key in synthetic.keys.tolist())
    if shared:
        found.append(
            f"{shared} of {len(synthetic)} synthetic images have the same pixels as a real one; "
            "each stays with its twin when detectors are trained."
        )
    fitted = int((synthetic.fit_groups >= 0).sum())
    if fitted:
        found.append(
            f"{fitted} of {len(synthetic)} synthetic images took part in the model's fit, which "
            "should have seen real images only."
        )
    return found


def notes(files: Sequence[Files], measured: Sequence[Measured], seed: int) -> list[str]:
    """What was done that a reader should know; arguments as for :func:`warnings`."""
    found = [
        f"{len(of_set) + of_set.skipped} of {of_set.found} {of_set.key} images were drawn at "
        f"random (seed {seed}); limit= sets how many."
        for of_set in files
        if of_set.found > len(of_set) + of_set.skipped
    ]
    fitted = int((measured[0].fit_groups >= 0).sum())
    if fitted:
        found.append(
            f"{fitted} of {len(measured[0])} real images took part in the model's fit. They were "
            "never their own neighbours, but a network trained on them may restore them better "
            "than it would unseen images."
        )
    return found


def describe_set(files: Files, measured: Measured) -> dict[str, Any]:
    """What `diagnosis.json` says of a set."""
    return {
        "folder": files.root,
        "found": files.found,
        "images": len(measured),
        "skipped": files.skipped + len(files) - len(measured),
        "took_part_in_fit": int((measured.fit_groups >= 0).sum()),
        **described(files.headers),
    }


def facts(numbers: dict[str, Any]) -> list[tuple[str, str]]:
    """The same for a reader: name and text."""
    found = []
    for name, of_set in numbers["sets"].items():
        drawn = "" if of_set["found"] == of_set["images"] else f" of {of_set['found']} found"
        kinds = "; ".join(
            ", ".join(f"{value} ({count})" for value, count in of_set[key].items())
            for key in ("formats", "sizes", "colour_modes")
        )
        title = f"{name[0].upper()}{name[1:]} images"
        found.append((title, f"{of_set['folder']}: {of_set['images']} images{drawn}; {kinds}"))
    channels, height, width = numbers["image_shape"]
    found.append(("Compared at", f"{width} × {height} pixels, {channels} channel(s)"))
    found.append(("Kept together", numbers["groups"]["source"]))
    if numbers["model"] is not None:
        model = numbers["model"]
        found.append(("Model", f"{model['folder']} ({model['calibrator']})"))
        found.append(("Calibrated images", f"rounded to {model['bits']} bits, as they are written"))
    return found
