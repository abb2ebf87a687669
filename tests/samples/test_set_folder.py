"""A set on disk: unread until it is finished, and what is left out of it comes back."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.generators import ConditionalVAE
from frerec.samples import load_samples, write_samples
from frerec.samples.own_outputs import read_generated
from frerec.samples.set_folder import finish, leave_out

CLASSES = ("normal", "large")


def vae() -> ConditionalVAE:
    return ConditionalVAE(
        num_classes=2, channels=1, image_size=16, latent_dim=4, width=4, seed=0
    ).eval()


def write(directory, generator=None, counts=None, **changes):
    counts = counts or {"normal": 6, "large": 5}
    write_samples(generator or vae(), counts, CLASSES, directory, seed=1, batch_size=4, **changes)


def pixels(directory) -> dict[str, bytes]:
    return {
        p.relative_to(directory).as_posix(): np.asarray(Image.open(p)).tobytes()
        for p in sorted(directory.glob("*/*.png"))
    }


def test_until_it_is_finished_nobody_reads_it(tmp_path):
    write(tmp_path, finished=False)
    with pytest.raises(DataError, match="has not finished"):
        load_samples(tmp_path, classes=CLASSES)
    assert len(read_generated(tmp_path)) == 11
    finish(tmp_path, excluded={"large": 1})
    assert len(load_samples(tmp_path, classes=CLASSES)) == 11
    assert json.loads((tmp_path / "samples.json").read_text())["excluded"] == {"large": 1}


LEFT_OUT = ["large/000001.png", "normal/000000.png"]


def test_what_is_left_out_lies_apart_and_comes_back(tmp_path):
    write(tmp_path, finished=False)
    before = pixels(tmp_path)
    leave_out(tmp_path, LEFT_OUT, move=True)
    finish(tmp_path)
    listed = load_samples(tmp_path, classes=CLASSES)
    assert set(before) - set(listed.table["image"]) == set(LEFT_OUT)
    assert set(before) - set(pixels(tmp_path)) == set(LEFT_OUT)
    assert set(pixels(tmp_path / "memorised")) == set(LEFT_OUT)
    assert len(Manifest.read(tmp_path / "drawn.parquet")) == 11
    again = vae()
    again.draw = None  # nothing is drawn again
    write(tmp_path, again)
    assert pixels(tmp_path) == before
    assert len(load_samples(tmp_path, classes=CLASSES)) == 11
    assert not (tmp_path / "memorised").exists()
    assert not (tmp_path / "drawn.parquet").exists()


@pytest.mark.parametrize("moves", [0, 1])
def test_leaving_out_that_was_killed_is_unread_and_heals(tmp_path, monkeypatch, moves):
    write(tmp_path, finished=False)
    before, left = pixels(tmp_path), [moves]
    original = Path.replace

    def replace(self, target):
        if self.suffix == ".png":
            left[0] -= 1
            if left[0] < 0:
                raise OSError("power cut")
        return original(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace)
        with pytest.raises(OSError, match="power cut"):
            leave_out(tmp_path, LEFT_OUT, move=True)
    with pytest.raises(DataError, match="has not finished"):
        load_samples(tmp_path, classes=CLASSES)
    write(tmp_path)
    assert pixels(tmp_path) == before
    assert len(load_samples(tmp_path, classes=CLASSES)) == 11


def test_fewer_samples_than_were_left_out_are_refused(tmp_path):
    write(tmp_path, finished=False)
    leave_out(tmp_path, ["large/000004.png"], move=True)
    finish(tmp_path)
    with pytest.raises(DataError, match=r"holds large.000004\.png, which is not among"):
        write(tmp_path, counts={"normal": 6, "large": 4})
    assert (tmp_path / "memorised" / "large" / "000004.png").exists()
