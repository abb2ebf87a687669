"""datamodules: cache, splits, loaders, augmentation, and the config groups that name them."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image

from datamodules import count_decodings, module, ready
from fixtures import class_folders
from frerec.data.datamodules import BrainMRI, ChestXray, Fundus, build
from frerec.data.sources import FolderSource
from frerec.errors import ConfigError, DataError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_stack_manifest_and_files_agree_row_by_row(tmp_path: Path) -> None:
    dm = ready(module(class_folders(tmp_path / "set"), train_size=5))
    assert len(dm.stack) == len(dm.manifest)
    for row in range(len(dm.manifest)):
        with Image.open(dm.manifest.address(row).blob.path) as image:
            assert np.array_equal(dm.stack.tensor(row)[0] * 255, np.asarray(image))
    assert dm.manifest.counts()["train"].tolist() == [5, 5]
    assert dm.classes == ("normal", "ill")
    assert dm.image_size == 16
    rows = dm.rows("val")
    expected = [dm.classes.index(dm.manifest.table["label"].iat[r]) for r in rows]
    assert dm.labels("val").tolist() == expected


def test_the_same_content_is_decoded_once(tmp_path: Path, monkeypatch) -> None:
    calls = count_decodings(monkeypatch)
    root = class_folders(tmp_path / "set")
    first = ready(module(root))
    assert calls == [40]
    same, other_split, smaller = (
        ready(module(root, **s)) for s in ({}, {"split_seed": 1}, {"train_size": 3})
    )
    assert calls == [40]
    assert same.fingerprint == first.fingerprint
    assert len({first.fingerprint, other_split.fingerprint, smaller.fingerprint}) == 3
    moved = root.rename(tmp_path / "moved")
    again = ready(module(moved))
    assert calls == [40]
    assert again.fingerprint == first.fingerprint
    assert again.manifest.address(0).blob.path.is_file()
    files = {p.name for p in again.cache_folder.iterdir()}
    assert files == {"stack.npy", "facts.parquet", "skipped.json", "meta.json", "near-24.npz"}


@pytest.mark.parametrize("change", ["pixels", "label", "size", "channels"])
def test_other_content_or_settings_are_decoded_anew(tmp_path: Path, monkeypatch, change) -> None:
    root = class_folders(tmp_path / "set")
    first = ready(module(root))
    calls = count_decodings(monkeypatch)
    if change == "pixels":
        Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(root / "ill" / "000.png")
    if change == "label":
        (root / "ill" / "000.png").rename(root / "normal" / "100.png")
    settings: dict[str, Any] = {"image_size": 8} if change == "size" else {}
    second = ready(module(root, Fundus if change == "channels" else ChestXray, **settings))
    assert calls == [40]
    assert second.fingerprint != first.fingerprint


def test_two_makers_at_once_decode_once(tmp_path: Path, monkeypatch) -> None:
    calls = count_decodings(monkeypatch)
    root = class_folders(tmp_path / "set")
    makers = [module(root) for _ in range(4)]
    threads = [threading.Thread(target=dm.prepare_data) for dm in makers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [40]
    assert len({ready(dm).fingerprint for dm in makers}) == 1


def test_a_maker_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    first = ready(module(root))
    stack = first.cache_folder / "stack.npy"
    expected = stack.read_bytes()
    (first.cache_folder / "meta.json").unlink()  # as if killed before the end
    stack.write_bytes(expected[:100])
    unfinished = first.cache_folder.with_name(f"{first.cache_folder.name}.tmp")
    unfinished.mkdir()
    (unfinished / "stack.npy.1.tmp").write_text("x")
    again = ready(module(root))
    assert (again.cache_folder / "stack.npy").read_bytes() == expected
    assert not unfinished.exists()


def test_unreadable_images_are_named_or_left_out_and_listed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    (root / "ill" / "003.png").write_bytes(b"")
    (root / "ill" / "007.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"ill/003\.png"):
        ready(module(root))
    assert {p.suffix for p in (tmp_path / "cache").iterdir()} == {".lock", ".sqlite"}
    dm = ready(module(root, on_error="skip"))
    assert dm.skipped == ["ill/003.png", "ill/007.png"]
    assert dm.manifest.counts().sum(axis=1).to_dict() == {"normal": 20, "ill": 18}


def test_leaks_stop_or_are_dropped(tmp_path: Path) -> None:
    root = tmp_path / "set"
    class_folders(root / "train")
    class_folders(root / "test", per_class=5)  # the same first five of `normal`
    with pytest.raises(DataError, match="identical files"):
        ready(module(root))
    dm = ready(module(root, leaks="drop"))
    assert dm.manifest.counts()["test"].tolist() == [5, 5]
    assert dm.manifest.table["hash"].is_unique


def test_classes_can_be_put_in_another_order(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    dm = ready(module(root, classes=["ill", "normal"]))
    assert dm.classes == ("ill", "normal")
    with pytest.raises(ConfigError, match=r"data\.classes=.*normal, ill"):
        ready(module(root, classes=["ill", "well"]))


def test_one_class_is_enough_only_where_labels_are_not_needed(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    (root / "normal").rename(tmp_path / "normal")
    with pytest.raises(DataError, match=r"only one class, ill \(20 images\)"):
        ready(module(root))
    assert len(ready(module(root, unlabelled=True)).stack) == 20


def test_loaders_give_batches_and_training_is_augmented(tmp_path: Path) -> None:
    dm = ready(module(class_folders(tmp_path / "set"), BrainMRI, batch_size=8))
    x, y = next(iter(dm.train_dataloader()))
    assert x.shape == (8, 1, 16, 16)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert x.min() >= 0
    assert x.max() <= 1
    val = torch.cat([x for x, _ in dm.val_dataloader()])
    assert torch.equal(val, dm.stack.tensor(dm.rows("val")))
    labels = torch.cat([y for _, y in dm.test_dataloader()])
    assert labels.tolist() == dm.labels("test").tolist()
    plain = ready(module(tmp_path / "set", BrainMRI, augment=False, batch_size=100))
    x, _ = next(iter(plain.train_dataloader()))
    stored = plain.stack.tensor(plain.rows("train"))
    assert torch.equal(x.sum((1, 2, 3)).sort()[0], stored.sum((1, 2, 3)).sort()[0])


def test_using_a_datamodule_before_it_is_set_up_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="setup"):
        _ = module(tmp_path).manifest


def test_workers_and_epochs_draw_different_augmentations(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set", per_class=8)
    dm = ready(module(root, val_fraction=0, test_fraction=0, num_workers=2, batch_size=1))
    torch.manual_seed(0)
    loader = dm.train_dataloader()
    epochs = [sorted(float(x.sum()) for x, _ in loader) for _ in range(2)]
    assert epochs[0] != epochs[1]
    torch.manual_seed(0)
    again = sorted(float(x.sum()) for x, _ in dm.train_dataloader())
    assert again == epochs[0]


def group(name: str, tmp_path: Path, *overrides: str) -> Any:
    with initialize_config_dir(str(CONFIGS), version_base=None):
        store = f"+paths.store={tmp_path / 'store'}"
        return compose(f"data/{name}", overrides=[store, *overrides]).data


def test_the_folder_and_csv_groups_build_what_they_say(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set")
    lines = [f"{p.relative_to(root).as_posix()},{p.parent.name}" for p in root.rglob("*.png")]
    (root / "t.csv").write_text("file,finding\n" + "\n".join(lines))
    folder = group("folder", tmp_path, f"data.root={root}", "data.image_size=8")
    dm = ready(instantiate(folder))
    assert (type(dm), dm.image_size, dm.name) == (ChestXray, 8, "folder")
    assert dm.cache_folder.parent == tmp_path / "store" / "data"
    columns = ["data.image_column=file", "data.label_column=finding", "data.labels=t.csv"]
    mapping = ["data.label_map={normal:a,ill:b}"]
    extra = [*columns, *mapping, "data.modality=fundus", "data.classes=[b,a]"]
    dm = ready(instantiate(group("csv", tmp_path, f"data.root={root}", *extra)))
    assert (type(dm), dm.classes, dm.channels) == (Fundus, ("b", "a"), 3)
    bad = group("folder", tmp_path, f"data.root={root}", "data.modality=ct")
    with pytest.raises(ConfigError, match=r"data\.modality=ct: expected one of brain_mri"):
        build(**{**bad, "source": FolderSource(root)})
    with pytest.raises(ConfigError, match=r"data\.val_fractoin: no such setting"):
        build(modality="fundus", source=FolderSource(root), val_fractoin=0.1)


def test_unlabelled_folders_are_enough_for_fitting(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "set") / "ill"
    dm = ready(instantiate(group("folder", tmp_path, f"data.root={root}", "data.unlabelled=true")))
    assert dm.classes == ("unlabelled",)
    assert len(dm.stack) == 20


@pytest.mark.parametrize("modality", ["brain_mri", "chest_xray", "fundus"])
def test_the_phantom_groups_build_what_they_say(tmp_path: Path, modality: str) -> None:
    config = group(f"phantom_{modality}", tmp_path, "data.count=24", "data.size=32")
    dm = ready(instantiate(config))
    assert dm.modality == modality
    assert dm.stack.shape == (24, dm.channels, 32, 32)
    assert len(dm.classes) == 2
    assert dm.stack.dtype == "uint8"


def test_the_kaggle_group_reads_its_layout_at_128_pixels(tmp_path: Path) -> None:
    for k, part in enumerate(("train/train/true", "train/train/false", "test/test/true")):
        class_folders(tmp_path / "x" / part, per_class=6, size=128, seed=k)
    config = group("kaggle_cardiomegaly", tmp_path, f"data.root={tmp_path / 'x'}")
    with pytest.raises(DataError, match="no images in test/test/false"):
        ready(instantiate(config))
    class_folders(tmp_path / "x/test/test/false", per_class=6, size=128, seed=3)
    dm = ready(instantiate(config))
    assert (type(dm), dm.image_size, dm.stack.dtype) == (ChestXray, 128, "uint8")
    assert dm.manifest.counts().to_numpy().tolist() == [[10, 2, 12], [10, 2, 12]]
