"""Phantoms, drawn on first use and then read like any other data set."""

import hashlib
import shutil
from pathlib import Path

from filelock import FileLock

from frerec.data.manifest import Manifest
from frerec.data.sources.csv import CsvSource


class PhantomSource:
    """Drawn images of a modality, with and without the finding.

    They are written once to `directory/MODALITY-COUNT-SIZEpx-...`, a folder for each combination of
    arguments (and of the drawing code), and read from there afterwards.

    Args:
        modality: `brain_mri`, `chest_xray` or `fundus`.
        count: number of images, all classes together.
        size: side in pixels.
        seed: the drawing's randomness.
        images_per_patient: images that share a patient.
        directory: where to keep them.
    """

    def __init__(
        self,
        modality: str,
        count: int = 600,
        size: int = 64,
        seed: int = 0,
        images_per_patient: int = 1,
        directory: str | Path = "phantoms",
    ) -> None:
        self.modality = modality
        self.count = count
        self.size = size
        self.seed = seed
        self.images_per_patient = images_per_patient
        self.directory = directory

    def read(self) -> Manifest:
        """Draw the images unless they are there, and read them."""
        name = (
            f"{self.modality}-{self.count}-{self.size}px-{self.images_per_patient}per_patient-"
            f"seed{self.seed}-{_drawing_version()}"
        )
        folder = Path(self.directory).expanduser().absolute() / name
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_name(f"{name}.lock")):
                if not folder.is_dir():
                    self._write(folder)
        return CsvSource(folder, dataset=f"phantom_{self.modality}").read()

    def _write(self, folder: Path) -> None:
        from frerec.data.phantoms import write_phantoms

        unfinished = folder.with_name(f"{folder.name}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        write_phantoms(
            unfinished,
            self.modality,
            self.count,
            size=self.size,
            seed=self.seed,
            images_per_patient=self.images_per_patient,
        )
        unfinished.rename(folder)


def _drawing_version() -> str:
    """Changes with the code that draws, so that phantoms of an older version are not reused."""
    from frerec.data import phantoms

    folder = Path(str(phantoms.__file__)).parent
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
