"""The few tags by which DICOM files are chosen and told apart, read once and remembered.

What identifies a patient, a study or an image leaves this module only as a pseudonym, whether it
was read or remembered, so that no cache holds it either.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from frerec.data.kept_texts import kept_texts, key_of
from frerec.data.parallel import in_threads
from frerec.data.pseudonyms import pseudonym
from frerec.data.readers.dicom import read_tags
from frerec.data.tree import Tree
from frerec.errors import DataError

IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SOPInstanceUID")
"""Kept as pseudonyms, "" where they are blank."""
KEYWORDS = ("ViewPosition", "Modality", "NumberOfFrames", *IDENTIFIERS)

FRAME_LIMIT = 100_000
"""Most frames that a file is believed to hold, far more than any acquisition has. [ours]"""

_FORMAT = 1
"""Part of every key: raise it when tags are read otherwise."""
_KEEP_EVERY = 2000

Tags = Mapping[str, str]


class DicomTags:
    """The tags of a tree's files, by name; None for a file that cannot be read.

    Args:
        tree: where the files lie.
        on_error: `raise` at a file that cannot be read, or `skip`.
        cache: an SQLite file that keeps the tags, by the files' path, size and time of change; None
            reads them at every start. Pseudonyms depend on `FREREC_PATIENT_KEY`, so tags that were
            kept under another key are read anew.
        progress: show a bar; None for only on a terminal.
    """

    def __init__(
        self,
        tree: Tree,
        *,
        on_error: str = "raise",
        cache: Path | None = None,
        progress: bool | None = None,
    ) -> None:
        self._tree = tree
        self._on_error = on_error
        self._cache = cache
        self._progress = progress
        self._known: dict[str, Tags | None] = {}

    def get(self, name: str) -> Tags | None:
        """A file's tags; None where it was not or could not be read."""
        return self._known.get(name)

    def read(self, names: Sequence[str]) -> None:
        """Read the tags of files, pixels excepted, that are not known yet.

        Raises:
            DataError: a file that cannot be read, or says that it holds more than `FRAME_LIMIT`
                frames, unless skipped.
        """
        new = [name for name in dict.fromkeys(names) if name not in self._known]
        with kept_texts(self._cache) as kept:
            keys = {} if self._cache is None else self._keys(new)
            texts = kept.read(list(keys.values()))
            remembered = {name: _parse(texts.get(key, "")) for name, key in keys.items()}
            self._known |= {name: tags for name, tags in remembered.items() if tags}
            unread = self._read_anew(new)
            while some := dict(islice(unread, _KEEP_EVERY)):
                self._known |= some
                kept.write({keys[n]: json.dumps(t) for n, t in some.items() if t and n in keys})

    def _read_anew(self, names: Sequence[str]) -> Iterator[tuple[str, Tags | None]]:
        """The files that are not known, each with its tags."""
        rest = [name for name in names if name not in self._known]
        tags = in_threads(
            self._tags,
            rest,
            total=len(rest),
            what="reading DICOM tags",
            unit="file",
            progress=self._progress if rest else False,
        )
        return zip(rest, tags, strict=True)

    def _tags(self, name: str) -> Tags | None:
        try:
            tags = read_tags(self._tree.blob(name), KEYWORDS)
            _check_frames(tags["NumberOfFrames"], self._tree.blob(name).name)
        except DataError:
            if self._on_error == "raise":
                raise
            return None
        identifiers = {tag: tags[tag].strip() for tag in IDENTIFIERS}
        return tags | {tag: pseudonym(who) if who else "" for tag, who in identifiers.items()}

    def _keys(self, names: Sequence[str]) -> dict[str, str]:
        """What each file's tags are kept under; files that are not there have none."""
        secret = pseudonym("what the kept pseudonyms depend on")
        keys = {}
        for name in names:
            with suppress(DataError, OSError):
                keys[name] = key_of(_FORMAT, KEYWORDS, secret, self._tree.blob(name).stamp())
        return keys


def _check_frames(number: str, file: str) -> None:
    digits = number.lstrip("0")
    too_long = len(digits) > len(str(FRAME_LIMIT))
    if digits.isdecimal() and (too_long or int(digits) > FRAME_LIMIT):
        raise DataError(
            f"{file}: NumberOfFrames is more than {FRAME_LIMIT}, which no acquisition has; replace "
            f"the file, or leave it out with data.on_error=skip"
        )


def _parse(text: str) -> Tags | None:
    """Tags as they were kept; None where the text is not that."""
    with suppress(ValueError):
        tags = json.loads(text)
        if isinstance(tags, dict) and set(tags) == set(KEYWORDS):
            return {keyword: str(value) for keyword, value in tags.items()}
    return None
