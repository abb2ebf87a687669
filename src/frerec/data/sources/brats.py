"""BraTS and sets laid out like it: axial slices of NIfTI volumes, with or without tumour."""

import logging
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from frerec.data.address import SEPARATOR
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers.nifti import slice_index
from frerec.data.sources.layout import one_of, unexpected
from frerec.data.sources.slice_areas import SliceAreas, choose_slices, slice_areas
from frerec.data.tree import Tree, open_tree
from frerec.errors import ConfigError, DataError

URL = "https://www.synapse.org/brats"
CLASSES = ("notumor", "tumor")
SEQUENCES = {
    "t1": ("t1", "t1n"),
    "t1ce": ("t1ce", "t1c", "t1gd"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f"),
}
"""The ends of file names that mean a sequence, before BraTS 2023 and since."""

_SEG = ("seg", "segm")
_FILE = re.compile(r".+[_-](?P<end>[a-z0-9]+)\.nii(\.gz)?", re.IGNORECASE)
_VISIT = re.compile(r"(BraTS-[A-Z]+-\d+)-\d{3}", re.IGNORECASE)
_EXPECTED = "PATIENT/PATIENT_{t1,t1ce,t2,flair,seg}.nii.gz, or -t1n, -t1c, -t2w, -t2f and -seg"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Patient:
    """One folder's volume and segmentation, by name."""

    folder: str
    volume: str
    seg: str

    @property
    def group(self) -> str:
        """The patient; since BraTS 2023 the last three digits of a folder are the visit."""
        name = PurePosixPath(self.folder).name
        visit = _VISIT.fullmatch(name)
        return visit.group(1) if visit else name


class BratsSource:
    """`PATIENT/PATIENT_{t1,t1ce,t2,flair,seg}.nii.gz` (or .nii), below any folders.

    Also the names of BraTS 2023 and later, `BraTS-GLI-00000-000-t1c.nii.gz`, where a patient may
    have several folders, one a visit. Volumes are normally 240 x 240 x 155 at 1 mm, without skull,
    background 0. A slice is `tumor` where the segmentation is not 0 in at least `min_tumour`
    pixels, `notumor` where it is 0 everywhere, and left out in between; so `notumor` slices are of
    patients too, and come from other heights of the head than `tumor` ones. Registration and terms
    of use of the challenge apply.

    Args:
        root: the folder (or zip) with the patients' folders, at any depth.
        sequence: t1, t1ce, t2 or flair.
        min_brain: fraction of a slice's pixels that differ from the background, at least. [ours]
        min_tumour: pixels of tumour, at least. [ours]
        step: every how many-th slice, since neighbours look alike. [ours]
        slices_per_patient: at most so many of each class in a folder, evenly spread; None for all.
        skip_incomplete: leave out, and count in the log, folders without the sequence or the
            segmentation, such as those of the validation data.
        on_error: `raise` at a volume that cannot be read, or `skip` and list it.
        cache_dir: where the areas of brain and tumour in each slice are kept once measured; None
            measures them at every start.
    """

    def __init__(
        self,
        root: str | Path,
        sequence: str = "t1ce",
        min_brain: float = 0.1,
        min_tumour: int = 100,
        step: int = 5,
        slices_per_patient: int | None = None,
        skip_incomplete: bool = False,
        on_error: str = "raise",
        cache_dir: str | Path | None = None,
    ) -> None:
        one_of("sequence", sequence, tuple(SEQUENCES))
        one_of("on_error", on_error, ("raise", "skip"))
        if not 0 <= min_brain < 1:
            raise ConfigError(f"data.min_brain={min_brain}: expected 0 or more, less than 1")
        counts = {"min_tumour": min_tumour, "step": step, "slices_per_patient": slices_per_patient}
        for key, value in counts.items():
            if value is not None and value < 1:
                raise ConfigError(f"data.{key}={value}: expected 1 or more")
        self.root = root
        self.sequence = sequence
        self.min_brain = min_brain
        self.min_tumour = min_tumour
        self.step = step
        self.slices_per_patient = slices_per_patient
        self.skip_incomplete = skip_incomplete
        self.on_error = on_error
        self.cache_dir = None if cache_dir is None else Path(cache_dir).expanduser() / "slice_areas"

    def read(self) -> Manifest:
        """Find the patients, measure their slices and choose among them.

        Raises:
            DataError: no patients; a folder that is incomplete or has a volume twice; a volume
                that cannot be read, is not finite, or differs in shape from its segmentation; no
                slice that is good enough.
        """
        tree = open_tree(self.root)
        patients = self._patients(tree)

        def measure(patient: _Patient) -> SliceAreas | DataError:
            try:
                return slice_areas(
                    tree.blob(patient.volume), tree.blob(patient.seg), cache=self.cache_dir
                )
            except DataError as error:
                if self.on_error == "raise":
                    raise
                return error

        measured = in_threads(
            measure,
            patients,
            total=len(patients),
            what="measuring slices",
            unit="volume",
            num_workers=2,
        )
        images, labels, groups = [], [], []
        left_out: list[tuple[str, str]] = []
        for patient, areas in zip(patients, measured, strict=True):
            if isinstance(areas, DataError):
                left_out.append((tree.address(patient.volume), str(areas)))
                continue
            chosen = choose_slices(
                areas,
                min_brain=self.min_brain,
                min_tumour=self.min_tumour,
                step=self.step,
                limit=self.slices_per_patient,
            )
            for label, slices in zip(CLASSES, chosen, strict=True):
                address = tree.address(patient.volume)
                images += [f"{address}{SEPARATOR}{slice_index(k)}" for k in slices]
                labels += [label] * len(slices)
                groups += [patient.group] * len(slices)
        if not images:
            raise DataError(
                f"data.root={tree.name}: no slice of {len(patients)} volumes has "
                f"data.min_brain={self.min_brain} of its pixels in the brain and no tumour, or "
                f"data.min_tumour={self.min_tumour} pixels of it; lower them, or data.step"
            )
        return Manifest.build(
            tree.root,
            images=images,
            labels=labels,
            groups=groups,
            dataset="brats",
            classes=CLASSES,
            left_out=left_out,
        )

    def _patients(self, tree: Tree) -> list[_Patient]:
        """Every folder with volumes, in order of their names."""
        found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        roles = {end: role for role, ends in SEQUENCES.items() for end in ends}
        roles |= dict.fromkeys(_SEG, "seg")
        for name in tree.files(suffixes=(".nii", ".nii.gz")):
            folder, _, file = name.rpartition("/")
            matched = _FILE.fullmatch(file)
            role = roles.get(matched["end"].lower()) if matched else None
            if role is not None:
                found[folder][role].append(name)
        if not found:
            raise unexpected(tree, "patients' volumes", _EXPECTED, URL)
        patients = []
        for folder, files in found.items():
            volume = self._one(tree, folder, files, self.sequence)
            seg = self._one(tree, folder, files, "seg")
            if volume and seg:
                patients.append(_Patient(folder, volume, seg))
        if len(patients) < len(found):
            _log.warning(
                "%d of %d folders without %s or seg left out (data.skip_incomplete)",
                len(found) - len(patients),
                len(found),
                self.sequence,
            )
        if not patients:
            raise unexpected(tree, f"folder with both {self.sequence} and seg", _EXPECTED, URL)
        return patients

    def _one(
        self, tree: Tree, folder: str, files: Mapping[str, list[str]], role: str
    ) -> str | None:
        """The one file of a role; None where there is none and that is allowed."""
        names = files.get(role, [])
        if not names and self.skip_incomplete:
            return None
        if not names:
            ends = SEQUENCES.get(role, _SEG)
            there = ", ".join(PurePosixPath(n).name for group in files.values() for n in group)
            raise DataError(
                f"data.root={tree.name}: no {role} volume in {folder or 'the top folder'}; "
                f"expected a file that ends in {' or '.join(f'{end}.nii.gz' for end in ends)}, "
                f"found {there}; complete it, or leave such folders out with "
                f"data.skip_incomplete=true"
            )
        if len({name.lower().removesuffix(".gz") for name in names}) > 1:
            raise DataError(
                f"data.root={tree.name}: {len(names)} {role} volumes in one folder, {names[0]} and "
                f"{names[1]}; expected one folder a patient"
            )
        return min(names, key=len)
