"""A manifest that `frerec prepare` wrote: the images, labels, patients and splits, as they were."""

from pathlib import Path

from frerec.data.manifest import COLUMNS, Manifest


class ManifestSource:
    """The rows of a manifest file, with its splits and its patients' pseudonyms.

    For a comparison that has to use the very same images and splits later, or elsewhere: what was
    dropped stays dropped, and what was cut stays cut. Files that have changed since are an error,
    and images that are decoded otherwise (another size, another crop) a warning.

    Args:
        manifest: the parquet file.
        root: where the images lie now; None for where they lay when it was written.
    """

    def __init__(self, manifest: str | Path, root: str | Path | None = None) -> None:
        self.manifest = manifest
        self.root = root

    def read(self) -> Manifest:
        """The manifest, with what later steps compare with the files as they are.

        Raises:
            DataError: no such file, or no manifest.
        """
        root = None if self.root is None else Path(self.root).expanduser().absolute()
        found = Manifest.read(Path(self.manifest).expanduser(), root)
        known = ["fold", "hash", "pixels", "resizing"]
        columns = [*COLUMNS, *(name for name in known if name in found.table)]
        return Manifest(found.table[columns], found.root, found.classes)
