"""DICOM files in any tree of folders, labelled by folder or by a table."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from frerec.data.address import SEPARATOR
from frerec.data.manifest import Manifest
from frerec.data.parallel import in_threads
from frerec.data.readers.dicom_magic import is_dicom
from frerec.data.sources.dicom_labels import (
    DICOM_SUFFIXES,
    labels_by_folder,
    labels_by_table,
)
from frerec.data.sources.dicom_tags import DicomTags, Tags
from frerec.data.sources.label_table import LabelTable
from frerec.data.sources.layout import one_of
from frerec.data.tree import Tree, open_tree
from frerec.errors import DataError

PATIENT_TAGS = ("PatientID", "StudyInstanceUID", "none")

_log = logging.getLogger(__name__)


class DicomFolderSource:
    """DICOM files with or without suffix; DICOMDIR and files of other kinds are passed over.

    Files named `.dcm` or `.dicom` are taken to be DICOM; files without a suffix (or whose name is
    a UID) are where `DICM` stands at byte 128. Of each labelled file a few tags are read, not the
    pixels. The patient is PatientID, only ever handled as a pseudonym; a file where it is blank
    stands alone, and how many there are is logged.

    Args:
        root: the folder or zip archive.
        labels: `folder` for `CLASS/...` or `SPLIT/CLASS/...`, else a CSV file's name.
        image_column, label_column, split_column, label_map: see `label_table.LabelTable`; a line
            may name its file by SOPInstanceUID, too.
        view: `all`, or the ViewPosition to keep (`PA`, `AP`, `LL`, ..., any case), or several.
        modalities: of Modality, such as `CR` and `DX`; None for all.
        frames: of a file of many: `refuse`, `first`, or `all`, each an image of the same patient.
        patient: the tag that tells patients apart. Where ids were all replaced by one, take
            `StudyInstanceUID`, or `none`, by which every file stands alone.
        on_error: `raise` at a file whose tags cannot be read, or `skip`: where its label is known
            it is kept, alone and whatever the view, to be skipped and listed when it is decoded.
        dataset: the name in the manifest.
        cache_dir: where the tags are kept once read, see `DicomTags`; None reads them at every
            start.
        progress: show a bar; None for only on a terminal.
    """

    def __init__(
        self,
        root: str | Path,
        labels: str = "folder",
        image_column: str = "image",
        label_column: str = "label",
        split_column: str | None = "split",
        label_map: Mapping[str, str | None] | None = None,
        view: str | Sequence[str] = "all",
        modalities: str | Sequence[str] | None = None,
        frames: str = "refuse",
        patient: str = "PatientID",
        on_error: str = "raise",
        dataset: str | None = None,
        cache_dir: str | Path | None = None,
        progress: bool | None = None,
    ) -> None:
        one_of("frames", frames, ("refuse", "first", "all"))
        one_of("patient", patient, PATIENT_TAGS)
        one_of("on_error", on_error, ("raise", "skip"))
        table = LabelTable(labels, image_column, label_column, split_column, None, label_map)
        self.root = root
        self.table = None if labels == "folder" else table
        self.wanted = {
            "ViewPosition": None if view == "all" else _upper(view),
            "Modality": None if modalities is None else _upper(modalities),
        }
        self.frames = frames
        self.patient = patient
        self.on_error = on_error
        self.dataset = dataset
        folder = None if cache_dir is None else Path(cache_dir).expanduser()
        self.cache = None if folder is None else folder / "dicom_tags.sqlite"
        self.progress = progress

    def read(self) -> Manifest:
        """Find the files, their labels and their tags.

        Raises:
            DataError: no DICOM files; a label that cannot be told, see `dicom_labels`; a file that
                is no DICOM file, or whose number of frames is not believed (unless skipped); a file
                of many frames, where they are refused; no file with the view and modality.
        """
        tree = open_tree(self.root)
        files = self._dicom_files(tree)
        if not files:
            raise DataError(
                f"data.root={tree.name}: no DICOM files; expected {', '.join(DICOM_SUFFIXES)} or "
                f"DICOM files without a suffix"
            )
        tags = DicomTags(tree, on_error=self.on_error, cache=self.cache, progress=self.progress)
        if self.table is None:
            labelled = labels_by_folder(tree, files)
        else:
            labelled = labels_by_table(tree, files, self.table, lambda n: _uids(tree, tags, n))
        there = set(files)
        named = [row.name for row in labelled if row.name in there]
        tags.read(named)
        keep = [row for row in labelled if self._wanted(tags.get(row.name))]
        if not keep:
            raise DataError(f"data.root={tree.name}: {self._none_left(tags, named)}")
        if len(keep) < len(labelled):
            why = ", ".join(f"{t} not {' or '.join(w)}" for t, w in self.wanted.items() if w)
            _log.info("%d of %d files left out: %s", len(labelled) - len(keep), len(labelled), why)
        self._report_patients([known for row in keep if (known := tags.get(row.name)) is not None])
        rows = [
            (address, row.label, row.split, self._patient(tags.get(row.name)))
            for row in keep
            for address in self._addresses(tree, row.name, tags.get(row.name))
        ]
        images, labels, splits, groups = (list(column) for column in zip(*rows, strict=True))
        dataset = PurePosixPath(tree.name).stem if self.dataset is None else self.dataset
        return Manifest.build(
            tree.root, images=images, labels=labels, splits=splits, groups=groups, dataset=dataset
        )

    def _dicom_files(self, tree: Tree) -> list[str]:
        """Names of all DICOM files, sorted."""
        names = tree.files(suffixes=None)
        unsure = [name for name in names if _tells_nothing(name)]
        threads = in_threads(
            lambda name: is_dicom(tree.blob(name)),
            unsure,
            total=len(unsure),
            what="looking for DICOM files",
            unit="file",
            progress=self.progress if unsure else False,
        )
        dicom = {name for name, yes in zip(unsure, threads, strict=True) if yes}
        return [n for n in names if n in dicom or n.lower().endswith(DICOM_SUFFIXES)]

    def _wanted(self, tags: Tags | None) -> bool:
        """Whether view and modality are those asked for; True where they are not known."""
        return tags is None or all(
            wanted is None or tags[tag].upper() in wanted for tag, wanted in self.wanted.items()
        )

    def _patient(self, tags: Tags | None) -> str:
        return "" if tags is None or self.patient == "none" else tags[self.patient]

    def _addresses(self, tree: Tree, name: str, tags: Tags | None) -> list[str]:
        """The file's images: itself, or its frames, zero-padded in order."""
        address = tree.address(name)
        frames = "" if tags is None else tags["NumberOfFrames"]
        count = int(frames) if frames.isdecimal() else 1
        if count < 2:
            return [address]
        if self.frames == "refuse":
            raise DataError(
                f"{tree.blob(name).name}: holds {count} frames; take the first of each file with "
                f"data.frames=first, or all with data.frames=all"
            )
        digits = max(3, len(str(count - 1)))
        numbers = range(count if self.frames == "all" else 1)
        return [f"{address}{SEPARATOR}{number:0{digits}d}" for number in numbers]

    def _report_patients(self, tags: Sequence[Tags]) -> None:
        """Say where patients cannot be told apart."""
        if self.patient == "none":
            return
        patients = Counter(self._patient(each) for each in tags)
        blank = patients.pop("", 0)
        if blank:
            _log.warning(
                "%d of %d DICOM files have no %s; each counts as a patient of its own",
                blank,
                len(tags),
                self.patient,
            )
        if len(patients) == 1 and max(patients.values()) > 1:
            _log.warning(
                "all %d DICOM files that have a %s have the same; if patients were anonymised so, "
                "tell them apart with data.patient=StudyInstanceUID",
                max(patients.values()),
                self.patient,
            )

    def _none_left(self, tags: DicomTags, names: Sequence[str]) -> str:
        """What was asked for and what was found instead."""
        parts = []
        for tag, wanted in self.wanted.items():
            if wanted is not None:
                found = Counter((tags.get(name) or {}).get(tag) or "blank" for name in names)
                listed = ", ".join(f"{value} {n}" for value, n in found.most_common(6))
                parts.append(f"{tag} {' or '.join(wanted)} (found {listed or 'nothing'})")
        return f"no labelled file has {' and '.join(parts)}"


def _uids(tree: Tree, tags: DicomTags, names: Sequence[str]) -> list[str]:
    """SOPInstanceUIDs, "" for files that cannot be read, which are named in the log."""
    tags.read(names)
    unread = [tree.blob(name).name for name in names if tags.get(name) is None]
    if unread:
        _log.warning(
            "%d DICOM files cannot be read and are not listed by path, left out: %s%s",
            len(unread),
            ", ".join(unread[:3]),
            ", ..." if len(unread) > 3 else "",
        )
    return [(tags.get(name) or {}).get("SOPInstanceUID", "") for name in names]


def _upper(values: str | Sequence[str]) -> tuple[str, ...]:
    given = [values] if isinstance(values, str) else list(values)
    return tuple(str(value).upper() for value in given)


def _tells_nothing(name: str) -> bool:
    """Whether a name has no suffix, or only the last number of a UID; DICOMDIR is an index."""
    path = PurePosixPath(name)
    return path.name.upper() != "DICOMDIR" and (not path.suffix or path.suffix[1:].isdecimal())
