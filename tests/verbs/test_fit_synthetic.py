"""``frerec fit synthetic=DIR``: calibrators that are fitted on a generator's images too."""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fixtures import textured_images, write_tree
from frerec.calibration.base import load_calibrator
from frerec.calibration.radial import RadialGain
from frerec.cli import main
from frerec.data.readers import read_image
from frerec.errors import ConfigError, DataError
from frerec.samples.folder_images import (
    FolderImages,
    content_of,
    list_images,
    refuse_real_images,
)

REAL, MADE = textured_images(16, seed=1), (0.2 + 0.5 * textured_images(9, seed=2))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """16 real images in ``real``, 9 synthetic ones at several depths of ``made``."""
    write_tree(tmp_path / "real", REAL, [f"a/{i}.png" for i in range(16)])
    names = [f"{'deep/er/' if i % 2 else ''}{i}.{'tif' if i % 3 else 'png'}" for i in range(9)]
    write_tree(tmp_path / "made", MADE, names)
    (tmp_path / "made" / "notes.txt").write_text("no image")
    return tmp_path


def fit(root: Path, *more: str, calibrator: str = "radial", out: str = "model") -> int:
    where = [f"data.root={root / 'real'}", f"paths.store={root / 'store'}", f"out={root / out}"]
    arguments = ["data=folder", "data.unlabelled=true", f"calibrator={calibrator}", *where, *more]
    return main(["fit", *arguments])


def failure(capsys: pytest.CaptureFixture[str]) -> str:
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return next(line for line in text.splitlines() if line.startswith("frerec: error: "))


def working_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name that a fit gives its unfinished work, by cutting one off."""

    def cut(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RadialGain, "_fit", cut)
        with contextlib.suppress(KeyboardInterrupt):
            fit(root, f"synthetic={root / 'made'}")
    found = list(root.glob(".model.*.partial"))
    assert len(found) == 1
    found[0].rmdir()
    return found[0].name


def eight_bits(images: torch.Tensor) -> torch.Tensor:
    return (images * 255).round() / 255


def test_the_fit_is_that_of_the_folders_images(root: Path) -> None:
    assert fit(root, f"synthetic={root / 'made'}", "calibrator.smoothing=0.5") == 0
    model = load_calibrator(root / "model")
    expected = RadialGain(smoothing=0.5).fit(eight_bits(REAL), synthetic=eight_bits(MADE))
    assert model.config() == expected.config()
    torch.testing.assert_close(model.gain, expected.gain)
    report = json.loads((root / "model" / "fit.json").read_text())
    assert (report["real_images"], report["synthetic_images"]) == (16, 9)
    assert report["mean_power_distance_db_after"] < report["mean_power_distance_db_before"]
    assert not list(root.glob(".model*")), "the working folder was left behind"


@pytest.mark.parametrize(
    "calibrator", ["radial", "one_to_one", "fda", "amplitude_mix", "histogram", "lowpass"]
)
def test_a_fitted_baseline_calibrates_any_folder(root: Path, calibrator: str) -> None:
    more = [f"synthetic={root / 'made'}"] if calibrator == "radial" else []
    assert fit(root, *more, calibrator=calibrator) == 0
    where = [f"model={root / 'model'}", f"input={root / 'made'}", f"output={root / 'out'}"]
    assert main(["calibrate", *where, "device=cpu"]) == 0
    written = np.asarray(Image.open(root / "out" / "0.png"), dtype=np.float64)
    image = eight_bits(MADE[:1])
    if written.ndim == 3:  # a calibrator of any size takes colour and grey alike
        image, written = image.expand(1, 3, -1, -1), np.moveaxis(written, -1, 0)
    expected = load_calibrator(root / "model").transform(image)[0].squeeze(0) * 255
    np.testing.assert_array_equal(written, expected.round().numpy())


def test_synthetic_is_asked_for_and_refused_before_anything_is_decoded(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = root / "made"
    (root / "empty").mkdir()
    for calibrator, more, expected in (
        ("radial", [], "synthetic is missing"),
        ("shr", [f"synthetic={made}"], "on real images alone"),
        ("lowpass", [f"synthetic={made}"], "on real images alone"),
        ("radial", [f"synthetic={root / 'nowhere'}"], "no such folder"),
        ("radial", [f"synthetic={made / 'notes.txt'}"], "is a file"),
        ("radial", [f"synthetic={root / 'empty'}"], "no images"),
        ("radial", ["synthetic=[1]"], "expected a folder"),
        ("radial", ["synthetic=123"], "synthetic=123: no such folder"),
        ("radial", [f"synthetic={root / 'real' / 'a'}"], "must not lie in data.root"),
        ("radial", [f"synthetic={root}"], "must not hold data.root"),
    ):
        assert fit(root, *more, calibrator=calibrator, out="new/model") == 2
        assert expected in failure(capsys)
    assert not (root / "store").exists(), "real images were decoded first"
    assert fit(root, f"synthetic={made}", out="made/model") == 2
    assert "must not lie in synthetic" in failure(capsys)
    assert not (root / "new").exists()


def test_an_image_of_another_size_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_tree(root / "made", textured_images(1, width=40), ["deep/wide.png"])
    assert fit(root, f"synthetic={root / 'made'}") == 2
    text = failure(capsys)
    assert "wide.png: 40 x 32 pixels, the real images have 32 x 32" in text
    assert not list(root.glob("*model*"))
    assert not list(root.glob(".model*"))


def test_an_unreadable_image_is_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = root / "made" / "0.png"
    target.write_bytes(target.read_bytes()[:200])
    assert fit(root, f"synthetic={root / 'made'}") == 2
    assert "0.png" in failure(capsys)
    assert not list(root.glob(".model*"))


def test_a_real_image_is_not_taken_for_a_generators(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = root / "real" / "a" / "3.png"
    (root / "made" / "copy.png").write_bytes(source.read_bytes())
    assert fit(root, f"synthetic={root / 'made'}") == 2
    assert "copy.png: is one of the real images" in failure(capsys)


def test_a_cut_off_fit_goes_on_only_for_the_same_synthetic_images(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = working_folder(root, monkeypatch)
    assert working_folder(root, monkeypatch) == first
    moved = root / "made" / "0.png"
    moved.rename(root / "made" / "00.png")
    assert working_folder(root, monkeypatch) == first, "a name is no content"
    write_tree(root / "made", textured_images(1, seed=9), ["00.png"])
    assert working_folder(root, monkeypatch) != first


def test_folder_images_are_rows_of_decoded_files(root: Path) -> None:
    listed = list_images(root / "made")
    images = FolderImages(listed, (3, 32, 32))
    assert images.shape == (9, 3, 32, 32)
    expected = torch.stack([read_image(address, channels=3) for address in listed])
    assert torch.equal(images[2:5], expected[2:5])
    assert torch.equal(images[torch.tensor([8, 0, 8])], expected[[8, 0, 8]])
    assert images[9:].shape == (0, 3, 32, 32)


def test_every_row_of_an_archive_is_an_image(tmp_path: Path) -> None:
    levels = (textured_images(4) * 255).round().byte().numpy()[:, 0]
    np.savez(tmp_path / "made.npz", images=levels, labels=np.arange(4))
    listed = list_images(tmp_path)
    images = FolderImages(listed, (1, 32, 32))
    np.testing.assert_array_equal((images[:] * 255).round().numpy()[:, 0], levels)
    assert len(content_of(listed)) == 1
    with pytest.raises(ConfigError, match=r"made\.npz: is one of the real"):
        refuse_real_images(listed, content_of(listed), set(content_of(listed)))
    with pytest.raises(DataError, match=r"made\.npz::images/000000: 32 x 32"):
        FolderImages(listed, (1, 32, 33))
