"""Calibrators from and to the Hugging Face Hub (extra ``frerec[hub]``): safetensors and JSON.

Only two files are ever fetched, ``calibrator.json`` and ``calibrator.safetensors``; neither can
carry code. ``huggingface_hub`` is imported when a repository is named, and not before.
"""

import os
import re
import tempfile
from abc import abstractmethod
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, Self

from frerec.calibration.model_card import CARD_FILE, Described, real_images_held, write_card
from frerec.errors import ConfigError, DataError, FrerecError

MODEL_FILES = ("calibrator.json", "calibrator.safetensors")
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)


class Shared(Described, Protocol):
    """What the mixin needs of the class that it is mixed into."""

    def save(self, directory: str | Path) -> None:
        """Write :data:`MODEL_FILES` into ``directory``."""


class HubMixin:
    """``from_pretrained``, ``save_pretrained`` and ``push_to_hub`` for a calibrator."""

    @classmethod
    @abstractmethod
    def load(cls, directory: str | Path) -> Self:
        """Read from a folder: written by the class that this is mixed into."""

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        *,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> Self:
        """A saved calibrator, in evaluation mode, from a folder or from the Hub.

        Args:
            name_or_path: A folder, or else a repository of the Hub, ``owner/name``; an existing
                folder comes first.
            revision: Branch, tag or commit of a repository; name a commit for results that have
                to stay the same.
            cache_dir: Where fetched files are kept; None takes ``huggingface_hub``'s own.
            token: Access token; None takes the one that ``hf auth login`` stored.
            local_files_only: Take what the cache holds and ask no network.
            force_download: Fetch again what the cache holds.

        Raises:
            ConfigError: If ``name_or_path`` is neither a folder nor a repository's name, a
                revision of a folder is asked for, or ``huggingface_hub`` is not installed.
            DataError: If the repository, its revision, its files or the network are missing, or
                it holds a calibrator of another class.
        """
        folder = Path(os.path.expanduser(name_or_path))  # noqa: PTH111, Path's fails on ~stranger
        if str(name_or_path) and folder.is_dir():
            if revision is not None:
                raise ConfigError(
                    f"revision={revision}: {name_or_path} is a folder, which has none"
                )
            return cls.load(folder)
        if folder.is_file():
            raise ConfigError(f"{name_or_path}: is a file; expected the folder that holds it")
        repository = _repository(name_or_path)
        fetched = fetch(
            repository,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            force_download=force_download,
        )
        return cls.load(fetched)

    def save_pretrained(self: Shared, directory: str | Path) -> None:
        """Save, with a model card ``README.md`` beside; a card of your own is left as it is."""
        self.save(directory)
        write_card(self, Path(directory))

    def push_to_hub(
        self: Shared,
        repo_id: str,
        *,
        private: bool = True,
        share_real_images: bool = False,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
        card: bool = True,
    ) -> str:
        """Upload the model to the Hub; the repository is made where there is none.

        Args:
            repo_id: ``owner/name``.
            private: Refuses a repository that others can read; False makes or takes a public one.
            share_real_images: Has to be True for a calibrator that holds the real images of its
                fit, in a private repository too: they leave this machine.
            token: Access token; None takes the one that ``hf auth login`` stored.
            revision: Branch; made where there is none. None takes ``main``.
            commit_message: Of the upload.
            card: Upload a model card; False leaves the repository's README.md as it is.

        Returns:
            The address of the commit.

        Raises:
            ConfigError: If real images would leave unasked, a public repository was not asked
                for, or ``huggingface_hub`` is not installed.
            DataError: If the Hub refuses or is not reached.
        """
        repository = _repository(repo_id)
        _consent(real_images_held(self), repository, private=private, asked=share_real_images)
        hub = _huggingface_hub(repository)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            self.save(folder)
            if card:
                write_card(self, folder, repository)
            try:
                api = hub.HfApi(token=token, library_name="frerec")
                api.create_repo(repository, private=private, exist_ok=True)
                if private and api.repo_info(repository).private is not True:
                    raise ConfigError(
                        f"{repository}: exists and is public, nothing was uploaded; make it "
                        "private on the Hub, or pass private=False if the world may read the model"
                    )
                if revision is not None and not revision.startswith("refs/"):
                    api.create_branch(repository, branch=revision, exist_ok=True)
                commit: Any = api.upload_folder(
                    repo_id=repository,
                    folder_path=folder,
                    allow_patterns=[*MODEL_FILES, CARD_FILE],
                    revision=revision,
                    commit_message=commit_message or f"Upload a {self.name} calibrator",
                )
            except FrerecError:
                raise
            except Exception as error:  # see _refusal
                raise _refusal(hub, error, repository, revision, "uploading") from error
        return str(commit.commit_url)


def fetch(
    repository: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """Folder in the cache with a repository's two model files, both of one commit.

    Raises:
        ConfigError: If ``huggingface_hub`` is not installed.
        DataError: If the repository, its revision, a file or the network is missing.
    """
    hub = _huggingface_hub(repository)
    try:
        folder = Path(
            hub.snapshot_download(
                repository,
                revision=revision,
                cache_dir=cache_dir,
                token=token,
                local_files_only=local_files_only,
                force_download=force_download,
                allow_patterns=list(MODEL_FILES),
                library_name="frerec",
            )
        )
    except Exception as error:  # see _refusal
        raise _refusal(hub, error, repository, revision, "fetching") from error
    for name in MODEL_FILES:
        if not (folder / name).is_file():
            raise DataError(
                f"{_at(repository, revision)}: {name} is missing; expected a repository that "
                "push_to_hub of a calibrator wrote"
            )
    return folder


def _consent(held: int, repository: str, *, private: bool, asked: bool) -> None:
    if held == 0 or asked:
        return
    where = "a repository of the Hub" if private else "a public repository, for all to read"
    raise ConfigError(
        f"push_to_hub({repository}): the model holds {held:,} real images of its fit, which would "
        f"go to {where}; pass share_real_images=True if their owners allow that"
    )


def _repository(name: str | Path) -> str:
    """``owner/name``, or an error that says what else was looked for."""
    text = str(name)
    if isinstance(name, Path) or not REPOSITORY.fullmatch(text) or ".." in text or "--" in text:
        raise ConfigError(
            f"{text}: neither an existing folder nor a repository of the Hugging Face Hub; "
            "expected a folder that save() wrote, or a name like owner/model"
        )
    return text


def _huggingface_hub(repository: str) -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.utils  # its submodules are loaded only when named
    except ImportError as error:
        raise ConfigError(
            f"{repository}: no such folder here, and the Hugging Face Hub needs "
            "huggingface_hub: pip install 'frerec[hub]'"
        ) from error
    return huggingface_hub


def _refusal(
    hub: ModuleType, error: Exception, repository: str, revision: str | None, doing: str
) -> DataError:
    """One line for whatever went wrong at the Hub.

    The library's errors have no common base, and those of its HTTP client, which pass through,
    changed with the client; hence ``except Exception`` at its two calls.
    """
    errors, place = hub.utils, _at(repository, revision)
    if isinstance(error, errors.RevisionNotFoundError):
        return DataError(
            f"{repository}: has no revision {revision}; expected a branch, tag or commit"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return DataError(
            f"{place}: no such repository on the Hub, or no access to it; check the name, "
            "and log in (`hf auth login`) or pass token= for a private one"
        )
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return DataError(
            f"{place}: not in the cache, and the Hub was not reached or not to be asked; connect "
            f"once without local_files_only and HF_HUB_OFFLINE ({first})"
        )
    return DataError(f"{place}: {doing} failed ({first})")


def _at(repository: str, revision: str | None) -> str:
    return repository if revision is None else f"{repository} at {revision}"
