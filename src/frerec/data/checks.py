"""The checks at the door: everything behind it may trust a manifest."""

from frerec.data.leaks import check_leaks
from frerec.data.manifest import COLUMNS, SOURCES, SPLITS, Manifest
from frerec.errors import DataError


def validate(
    manifest: Manifest, *, min_classes: int = 2, leaks: bool = True, exist: bool = True
) -> None:
    """Check a manifest at the door; everything behind it may trust the table.

    Args:
        manifest: the table to check.
        min_classes: how many classes must have images (1 for images without labels).
        leaks: also check that no group and no image is in two splits.
        exist: also check that every file is there.

    Raises:
        DataError: a column is missing; no images; an unknown label, split or source; too few
            classes; some images have a split and others none; a synthetic image in val or test; a
            path twice, absolute, outside the root, or without a file; a leak between splits.
    """
    table, root = manifest.table, manifest.root
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        raise DataError(f"{root}: the manifest lacks the columns {', '.join(absent)}")
    if table.empty:
        raise DataError(f"{root}: no images")
    allowed = {"label": manifest.classes, "split": ("", *SPLITS), "source": SOURCES}
    for column, values in allowed.items():
        bad = table.index[~table[column].isin(list(values))]
        if len(bad):
            found, image = table[column].iat[bad[0]], table["image"].iat[bad[0]]
            expected = ", ".join(v or "(blank)" for v in values)
            raise DataError(f"{image}: {column} is {found!r}, expected one of {expected}")
    present = [name for name in manifest.classes if name in set(table["label"])]
    if len(present) < min_classes:
        raise DataError(
            f"{root}: only one class, {', '.join(present)} ({len(table)} images); a classifier "
            f"needs at least {min_classes} classes (frerec fit alone: data.unlabelled=true)"
        )
    blank = table["split"] == ""
    if blank.any() and not blank.all():
        image = table["image"].iat[int(blank.to_numpy().argmax())]
        raise DataError(
            f"{root}: {int(blank.sum())} of {len(table)} images have no split, for example "
            f"{image}; give one to every image or to none"
        )
    held_out = table.index[(table["source"] == "synthetic") & table["split"].isin(["val", "test"])]
    if len(held_out):
        image, split = table["image"].iat[held_out[0]], table["split"].iat[held_out[0]]
        raise DataError(f"{image}: a synthetic image in {split}; val and test are real images only")
    twice = table.index[table["image"].duplicated()]
    if len(twice):
        raise DataError(f"{table['image'].iat[twice[0]]}: listed more than once in {root}")
    if exist:
        check_exist(manifest)
    if leaks:
        check_leaks(manifest)


def missing_images(manifest: Manifest) -> list[int]:
    """Rows whose file, or whose archive's member, does not exist.

    Raises:
        DataError: an address is absolute, or leads out of the root or of its archive.
    """
    blobs = [address.blob for address in manifest.addresses]
    there = {blob: blob.exists() for blob in set(blobs)}
    return [row for row, blob in enumerate(blobs) if not there[blob]]


def check_exist(manifest: Manifest) -> None:
    """Raise DataError where an address may not be used, or has no file."""
    missing = missing_images(manifest)
    if missing:
        raise DataError(
            f"{manifest.address(missing[0]).name}: no such file; {len(missing)} of the "
            f"{len(manifest)} images that are listed do not exist; complete the data set, or leave "
            f"them out with data.on_error=skip"
        )
