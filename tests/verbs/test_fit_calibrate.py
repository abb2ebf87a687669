"""``frerec fit`` and ``frerec calibrate`` on folders, through the command line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.calibration import load_calibrator
from frerec.cli import main

QUICK = [
    "calibrator.training.steps=3",
    "calibrator.training.batch_size=2",
    "calibrator.training.eval_every=3",
    "calibrator.shr.neighbours=4",
    "trainer.progress=false",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 real images in two classes, and a fitted model."""
    root = tmp_path_factory.mktemp("folders")
    real = textured_images(24, seed=1)
    write_tree(root / "real", real, [f"{'ab'[i % 2]}/{i}.png" for i in range(24)])
    store = f"paths.store={root / 'store'}"
    arguments = [f"data.root={root / 'real'}", f"out={root / 'model'}", store, *QUICK]
    assert main(["fit", "data=folder", *arguments]) == 0
    return root


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    names = ["x/one.png", "x/deep/two.jpg", "three.tif", "x/four.PNG", "five.png"]
    write_tree(tmp_path / "in", textured_images(5, seed=2), names)
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    (tmp_path / "in" / ".hidden").mkdir()
    write_tree(tmp_path / "in" / ".hidden", textured_images(1), ["six.png"])
    return tmp_path / "in"


def calibrate(folders: Path, source: Path, output: Path, *more: str) -> int:
    return main(
        ["calibrate", f"model={folders / 'model'}", f"input={source}", f"output={output}", *more]
    )


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return next(line for line in text.splitlines() if line.startswith("frerec: error: "))


def test_fit_uses_every_image_of_a_folder_without_splits(folders: Path) -> None:
    assert len(load_calibrator(folders / "model").state_dict()["shr.bank.images"]) == 24
    report = json.loads((folders / "model" / "fit.json").read_text())
    assert report["train_images"] + report["held_out_images"] == 24
    assert not list(folders.glob(".model*")), "the working folder was left behind"


def test_fit_uses_the_training_split_alone(tmp_path: Path) -> None:
    for split, count, seed in (("train", 20, 1), ("test", 8, 2)):
        names = [f"{split}/{'ab'[i % 2]}/{i}.png" for i in range(count)]
        write_tree(tmp_path / "real", textured_images(count, seed=seed), names)
    arguments = [f"data.root={tmp_path / 'real'}", f"out={tmp_path / 'm'}"]
    arguments += [f"paths.store={tmp_path / 's'}", "calibrator=shr"]
    assert main(["fit", "data=folder", *arguments]) == 0
    assert len(load_calibrator(tmp_path / "m").state_dict()["bank.images"]) == 20


def test_fit_keeps_an_existing_model_unless_asked(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["fit", "data=folder", f"data.root={folders / 'real'}", f"out={folders / 'model'}"]
    assert main(arguments) == 2
    assert "overwrite=true" in failure(capsys)


def test_the_output_tree_mirrors_the_input_as_png(
    folders: Path, synthetic: Path, tmp_path: Path
) -> None:
    assert calibrate(folders, synthetic, tmp_path / "out") == 0
    found = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert found == [
        "five.png",
        "frerec.json",
        "frerec.parquet",
        "three.png",
        "x/deep/two.png",
        "x/four.png",
        "x/one.png",
    ]
    assert Image.open(tmp_path / "out" / "five.png").format == "PNG"
    assert Image.open(tmp_path / "out" / "five.png").size == (32, 32)


@pytest.mark.parametrize("bits", [8, 16])
def test_the_pixels_are_the_calibrators(
    folders: Path, synthetic: Path, tmp_path: Path, bits: int
) -> None:
    assert calibrate(folders, synthetic, tmp_path / "out", f"bits={bits}") == 0
    original = np.asarray(Image.open(synthetic / "five.png"), dtype=np.float32) / 255
    expected = load_calibrator(folders / "model").transform(torch.from_numpy(original)[None, None])
    written = np.asarray(Image.open(tmp_path / "out" / "five.png"))
    largest = 2**bits - 1
    assert written.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(written, (expected[0, 0].numpy() * largest).round())


def test_the_batch_size_does_not_change_a_pixel(
    folders: Path, synthetic: Path, tmp_path: Path
) -> None:
    for size in (1, 4):
        assert calibrate(folders, synthetic, tmp_path / str(size), f"batch_size={size}") == 0
    for path in (tmp_path / "1").rglob("*.png"):
        other = tmp_path / "4" / path.relative_to(tmp_path / "1")
        assert path.read_bytes() == other.read_bytes()


def test_a_second_run_does_only_what_is_missing(
    folders: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(folders, synthetic, tmp_path / "out")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*.png")}
    missing = tmp_path / "out" / "x" / "one.png"
    before = missing.read_bytes()
    missing.unlink()
    capsys.readouterr()
    assert calibrate(folders, synthetic, tmp_path / "out") == 0
    assert "Calibrated 1 images" in capsys.readouterr().out
    assert missing.read_bytes() == before
    assert all(p.stat().st_mtime_ns == t for p, t in times.items() if p != missing)


def test_foreign_files_are_not_overwritten_unless_asked(
    folders: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out" / "five.png"
    target.parent.mkdir()
    target.write_bytes(b"mine")
    assert calibrate(folders, synthetic, tmp_path / "out") == 2
    assert "overwrite=true" in failure(capsys)
    assert target.read_bytes() == b"mine"
    assert [p.name for p in target.parent.iterdir()] == ["five.png"]
    assert calibrate(folders, synthetic, tmp_path / "out", "overwrite=true") == 0
    assert target.read_bytes() != b"mine"


def test_another_models_images_are_not_mixed_in(
    folders: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrate(folders, synthetic, tmp_path / "out")
    assert calibrate(folders, synthetic, tmp_path / "out", "bits=16") == 2
    assert "bits=16" in failure(capsys)


def test_models_of_one_bank_but_other_settings_are_told_apart(
    folders: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their weights, the bank, are the same bytes."""
    for ratio in (0.5, 0.3):
        arguments = [f"data.root={folders / 'real'}", f"out={tmp_path / str(ratio)}"]
        more = ["calibrator=shr", f"calibrator.ratio={ratio}", f"paths.store={folders / 'store'}"]
        assert main(["fit", "data=folder", *arguments, *more]) == 0
    where = [f"input={synthetic}", f"output={tmp_path / 'out'}"]
    assert main(["calibrate", f"model={tmp_path / '0.5'}", *where]) == 0
    assert main(["calibrate", f"model={tmp_path / '0.3'}", *where]) == 2
    assert "overwrite=true" in failure(capsys)


def test_an_output_inside_the_real_images_is_refused(
    folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb in ("fit", "generate"):
        where = [f"data.root={folders / 'real'}", f"out={folders / 'real' / 'new'}"]
        assert main([verb, "data=folder", *where]) == 2
        assert "must not lie in data.root" in failure(capsys)


def test_overwriting_loses_nothing_when_an_image_is_unreadable(
    folders: Path, synthetic: Path, tmp_path: Path
) -> None:
    assert calibrate(folders, synthetic, tmp_path / "out") == 0
    (synthetic / "five.png").write_bytes(b"broken")
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.png")}
    assert calibrate(folders, synthetic, tmp_path / "out", "overwrite=true") == 2
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*.png")} == before
    # One of them is not of the image that is in the input now.
    assert calibrate(folders, synthetic, tmp_path / "out") == 2


def test_an_unreadable_image_is_named_or_skipped_and_listed(
    folders: Path,
    synthetic: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = (synthetic / "five.png").read_bytes()
    (synthetic / "five.png").write_bytes(whole[: len(whole) // 2])
    assert calibrate(folders, synthetic, tmp_path / "out") == 2
    assert "five.png" in failure(capsys)
    assert not (tmp_path / "out" / "five.png").exists()
    assert calibrate(folders, synthetic, tmp_path / "out", "on_error=skip") == 0
    assert "five.png" in caplog.text
    assert "1 skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda d: write_tree(d, textured_images(1, width=48), ["wide.png"]), "48 x 32"),
        (lambda d: write_tree(d, textured_images(1), ["five.jpg"]), "both would become"),
    ],
)
def test_images_that_cannot_be_placed_are_named(
    folders: Path,
    synthetic: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: object,
    expected: str,
) -> None:
    prepare(synthetic)  # type: ignore[operator]
    assert calibrate(folders, synthetic, tmp_path / "out") == 2
    assert expected in failure(capsys)


def test_wrong_folders_are_named(
    folders: Path, synthetic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    cases = [
        ((tmp_path / "nowhere", tmp_path / "o"), "no such folder"),
        ((tmp_path / "empty", tmp_path / "o"), "no images"),
        ((synthetic, synthetic / "out"), "must not lie in input"),
        ((synthetic, synthetic), "must not lie in input"),
    ]
    for (source, output), expected in cases:
        assert calibrate(folders, source, output) == 2
        assert expected in failure(capsys)
    assert main(["calibrate", f"model={tmp_path}", f"input={synthetic}", "output=o"]) == 2
    assert "no calibrator here" in failure(capsys)


def test_fit_refuses_what_it_cannot_learn_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fit(*more: str) -> str:
        arguments = [f"data.root={tmp_path / 'real'}", f"out={tmp_path / 'm'}"]
        assert main(["fit", "data=folder", f"paths.store={tmp_path / 's'}", *arguments, *more]) == 2
        assert not (tmp_path / "m").exists()
        return failure(capsys)

    assert "no such folder" in fit()
    (tmp_path / "real").mkdir()
    assert "images in this folder" in fit()
    write_tree(tmp_path / "real", textured_images(6), [f"a/{i}.png" for i in range(6)])
    write_tree(tmp_path / "real", textured_images(2, width=40), ["a/odd1.png", "a/odd2.png"])
    assert "data.image_size" in fit("data.unlabelled=true")
    (tmp_path / "real" / "a" / "odd1.png").unlink()
    (tmp_path / "real" / "a" / "odd2.png").unlink()
    assert "at least 10" in fit("data.unlabelled=true", *QUICK)


def test_fit_replaces_a_model_and_nothing_else(folders: Path, tmp_path: Path, capsys) -> None:
    model = tmp_path / "model"
    shutil.copytree(folders / "model", model)
    (model / "notes.txt").write_text("mine")
    arguments = ["fit", "data=folder", f"out={model}", "overwrite=true", *QUICK]
    assert main([*arguments, f"data.root={folders / 'real'}"]) == 2
    assert "notes.txt beside a model" in failure(capsys)
    (model / "notes.txt").unlink()
    shutil.copytree(folders / "real", model / "real")
    assert main([*arguments, f"data.root={model / 'real'}"]) == 2
    assert "must not hold data.root" in failure(capsys)
    assert len(list((model / "real").rglob("*.png"))) == 24
