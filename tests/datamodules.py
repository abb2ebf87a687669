"""Datamodules on small folders, and a count of what they decode."""

from pathlib import Path
from typing import Any

import pytest

from frerec.data import prepared
from frerec.data.datamodules import ChestXray, ImageDataModule
from frerec.data.sources import FolderSource


def module(root: Path, cls: type[ImageDataModule] = ChestXray, **settings: Any) -> ImageDataModule:
    settings = {"image_size": 16, "cache_dir": root.parent / "cache", "name": "t", **settings}
    return cls(FolderSource(root), **settings)


def ready(dm: ImageDataModule) -> ImageDataModule:
    dm.prepare_data()
    dm.setup()
    return dm


def count_decodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of images in each call of build_stack from here on."""
    calls: list[int] = []
    original = prepared.build_stack

    def counted(manifest: Any, *args: Any, **settings: Any) -> Any:
        calls.append(len(manifest))
        return original(manifest, *args, **settings)

    monkeypatch.setattr(prepared, "build_stack", counted)
    return calls
