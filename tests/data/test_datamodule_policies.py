"""datamodules: official splits, folds, tasks, leaks, missing files, archives."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import count_decodings, module, ready
from fixtures import class_folders, textured_images, write_tree
from frerec.data.datamodules import ChestXray
from frerec.data.sources import CsvSource
from frerec.errors import ConfigError, DataError


def official(root: Path) -> Path:
    """Splits of the source's own, with a near-duplicate of a test image in train."""
    class_folders(root / "train")
    class_folders(root / "test", per_class=8, seed=9)
    return root


def test_official_splits_are_kept_unless_they_are_set_aside(tmp_path: Path) -> None:
    root = official(tmp_path / "set")
    table = ready(module(root)).manifest.table
    test = table["image"][table["split"] == "test"]
    assert sorted(test) == sorted(n for n in table["image"] if n.startswith("test/"))
    table = ready(module(root, official_splits=False, split_seed=1)).manifest.table
    test = table["image"][table["split"] == "test"]
    assert any(name.startswith("train/") for name in test)
    with pytest.raises(ConfigError, match=r"data\.folds=4: the data set has its own splits"):
        ready(module(root, folds=4))


def test_folds_test_every_image_once_from_one_cache(tmp_path: Path, monkeypatch) -> None:
    calls = count_decodings(monkeypatch)
    root = class_folders(tmp_path / "set")
    modules = [ready(module(root, folds=4, fold=k)) for k in range(4)]
    assert calls == [40]
    tested = [n for dm in modules for n in dm.manifest.table["image"].iloc[dm.rows("test")]]
    assert len(tested) == len(set(tested)) == 40
    assert len({dm.fingerprint for dm in modules}) == 4
    for dm in modules:
        assert dm.manifest.counts().loc["ill", "val"] > 0


def test_another_task_on_the_same_images_decodes_nothing(tmp_path: Path, monkeypatch) -> None:
    root = class_folders(tmp_path / "set")
    names = [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.png"))]
    calls = count_decodings(monkeypatch)
    fingerprints = set()
    for step in (2, 4):
        lines = [f"{name},{'yes' if k % step else 'no'}" for k, name in enumerate(names)]
        (root / "t.csv").write_text("image,label\n" + "\n".join(lines))
        source = CsvSource(root, "t.csv")
        dm = ready(ChestXray(source, image_size=16, cache_dir=tmp_path / "cache", name="t"))
        assert dm.manifest.table["label"].value_counts()["no"] == len(names) / step
        fingerprints.add(dm.fingerprint)
    assert calls == [40]
    assert len(fingerprints) == 2


def test_near_duplicates_in_two_splits_are_dropped_where_asked(tmp_path: Path) -> None:
    root = tmp_path / "set"
    pictures = textured_images(24, height=64, width=64, seed=5)
    names = [f"{'train' if k % 3 else 'test'}/{'ab'[k % 2]}/{k:02d}.png" for k in range(24)]
    write_tree(root, pictures, names)
    with Image.open(root / names[1]) as image:
        image.save(root / "test/b/copy.jpg", quality=85)
    settings = {"image_size": 64}
    assert names[1] in set(ready(module(root, **settings)).manifest.table["image"])
    with pytest.raises(DataError, match=r"near-duplicates .*data\.near_duplicates=drop"):
        ready(module(root, near_duplicates="error", **settings))
    kept = ready(module(root, near_duplicates="drop", **settings)).manifest.table
    assert set(names) - set(kept["image"]) == {names[1]}
    assert "near" not in kept
    with pytest.raises(ConfigError, match=r"data\.near_distance=-1"):
        module(root, near_distance=-1)


def test_what_is_cut_here_keeps_near_duplicates_together(tmp_path: Path) -> None:
    root = tmp_path / "set"
    pictures = textured_images(40, height=64, width=64, seed=6)
    names = [f"{'ab'[k % 2]}/{k:02d}.png" for k in range(40)]
    write_tree(root, pictures, names)
    twins = {}
    for name in names:
        twins[name] = name.replace(".png", "_again.jpg")
        with Image.open(root / name) as image:
            image.save(root / twins[name], quality=80)
    for settings in ({}, {"folds": 3, "fold": 1}, {"split_seed": 5}):
        table = ready(module(root, image_size=64, **settings)).manifest.table
        split = dict(zip(table["image"], table["split"], strict=True))
        assert set(split.values()) == {"train", "val", "test"}
        assert all(split[one] == split[other] for one, other in twins.items())


def test_missing_files_are_named_or_left_out_and_listed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    names = [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.png"))]
    lines = [f"{name},{name.split('/')[0]}" for name in [*names, "ill/gone.png"]]
    (root / "t.csv").write_text("image,label\n" + "\n".join(lines))
    settings: dict[str, Any] = {"image_size": 16, "cache_dir": tmp_path / "cache", "name": "t"}
    with pytest.raises(
        DataError, match=r"ill/gone\.png: no such file; 1 of the 41 .*on_error=skip"
    ):
        ready(ChestXray(CsvSource(root, "t.csv"), **settings))
    dm = ready(ChestXray(CsvSource(root, "t.csv"), on_error="skip", **settings))
    assert dm.skipped == ["ill/gone.png"]
    assert len(dm.manifest) == 40


def test_an_archive_gives_the_same_images_as_its_folder(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in root.rglob("*.png"):
            archive.write(path, path.relative_to(root).as_posix())
    folder, zipped = ready(module(root)), ready(module(tmp_path / "set.zip"))
    assert np.array_equal(zipped.stack.tensor(), folder.stack.tensor())
    assert zipped.manifest.table["hash"].tolist() == folder.manifest.table["hash"].tolist()
    assert zipped.manifest.table["image"].iat[0].startswith("set.zip::ill/")
    assert zipped.manifest.table["split"].tolist() == folder.manifest.table["split"].tolist()
