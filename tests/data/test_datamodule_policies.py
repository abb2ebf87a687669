"""datamodules: official splits, folds, tasks, leaks, missing files, archives."""

import multiprocessing
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import count_decodings, module, ready
from fixtures import class_folders, textured_images, write_tree
from frerec.data import decode, prepared
from frerec.data.datamodules import ChestXray
from frerec.data.sources import CsvSource
from frerec.errors import ConfigError, DataError


def official(root: Path) -> Path:
    """Splits of the source's own."""
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


def test_near_duplicates_are_searched_only_where_somebody_asks(tmp_path: Path, monkeypatch) -> None:
    searched: list[int] = []
    original = prepared.find_near_pairs

    def counted(hashes: list[str], *args: Any, **settings: Any) -> Any:
        searched.append(len(hashes))
        return original(hashes, *args, **settings)

    monkeypatch.setattr(prepared, "find_near_pairs", counted)
    root = tmp_path / "set"
    for seed, part in enumerate(("train", "val", "test")):
        class_folders(root / part, per_class=4, seed=seed)
    ready(module(root))
    assert searched == []
    for _ in range(2):
        ready(module(root, near_duplicates="drop"))
    assert searched == [24]


def test_many_processes_may_search_at_once(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    first = module(root)
    first.prepare_data()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=first.prepared.near, args=(20,)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert {p.name for p in first.cache_folder.iterdir() if "near" in p.name} == {"near-20.npz"}


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"leaks": "ignore"}, "leaks"),
        ({"near_duplicates": "keep"}, "near_duplicates"),
        ({"folds": 1}, "folds"),
        ({"folds": 3, "fold": 3}, "fold"),
        ({"fold": 1}, "fold"),
        ({"val_fraction": 2}, "val_fraction"),
        ({"train_size": 0}, "train_size"),
        ({"on_error": "drop"}, "on_error"),
        ({"near_distance": 200}, "near_distance"),
        ({"fit": "squeeze"}, "fit"),
        ({"crop": "lung"}, "crop"),
        ({"dicom_window": "auto"}, "dicom_window"),
    ],
)
def test_wrong_settings_are_said_before_anything_is_read(tmp_path: Path, settings, key) -> None:
    with pytest.raises(ConfigError, match=rf"data\.{key}="):
        module(tmp_path / "nothing", **settings)


def test_skipping_reuses_what_was_decoded_before_an_error(tmp_path: Path, monkeypatch) -> None:
    root = class_folders(tmp_path / "set", size=64)
    victim = root / "ill" / "019.png"
    victim.write_bytes(victim.read_bytes()[:2000])
    calls = count_decodings(monkeypatch)
    with pytest.raises(DataError, match=r"ill/019\.png: cannot be decoded"):
        ready(module(root, image_size=64))
    dm = ready(module(root, image_size=64, on_error="skip"))
    assert dm.skipped == ["ill/019.png"]
    assert len(calls) == 1


def test_an_image_that_can_be_read_after_all_is_taken_in(tmp_path: Path, monkeypatch) -> None:
    root = class_folders(tmp_path / "set")
    original = decode.read_described

    def without_a_decoder(address: Any, **settings: Any) -> Any:
        if address.blob.filename == "003.png":
            raise DataError("no decoder is installed")
        return original(address, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(decode, "read_described", without_a_decoder)
        assert len(ready(module(root, on_error="skip")).skipped) == 2
    assert ready(module(root, on_error="skip")).skipped == []
    assert len(ready(module(root)).manifest) == 40
