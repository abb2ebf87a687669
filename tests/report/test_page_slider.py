"""The images of the slider: which ones, in which pairs, and pixel for pixel."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from frerec.report.page_slider import examples, png
from frerec.report.run import read_run
from frerec.report.showcase import Showcase


@pytest.fixture(scope="module")
def run(tmp_path_factory, build):
    path = tmp_path_factory.mktemp("slider") / "run"
    return read_run(build(path, arms=("raw",), seeds=(0,), classifiers=("resnet50",)))


def shown(run, images, labels=None):
    return examples(replace(run, showcase=Showcase(images=images, labels=labels or {})))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def pixels(source: str) -> np.ndarray:
    content = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_has_every_pixel(channels):
    image = noise(channels, 5, 7)
    back = np.asarray(Image.open(io.BytesIO(png(image))))
    np.testing.assert_array_equal(back.reshape(5, 7, channels), np.moveaxis(image, 0, -1))


def test_an_example_is_one_image_at_every_stage(run):
    images = {"synthetic": noise(3, 1, 8, 8)}
    images |= {"synthetic_shr": 255 - images["synthetic"]}
    found = shown(run, images, {"synthetic": np.array([1, 1, 0])})
    # The classes in turn: normal is the third image, then the first and second cardiomegaly.
    labels = ["synthetic 1, normal", "synthetic 2, cardiomegaly", "synthetic 3, cardiomegaly"]
    assert [example.label for example in found] == labels
    for example, i in zip(found, (2, 0, 1), strict=True):
        before, after = (pixels(shot.source) for shot in example.shots)
        np.testing.assert_array_equal(before, images["synthetic"][i, 0])
        np.testing.assert_array_equal(after, 255 - before)


def test_real_images_follow_where_they_have_a_calibrated_twin(run):
    images = {name: noise(2, 1, 4, 4) for name in ("real", "real_frerec", "synthetic")}
    assert [example.family for example in shown(run, images)] == ["real-0", "real-0"]


def test_a_set_of_other_images_is_no_twin(run):
    images = {"synthetic": noise(3, 1, 4, 4), "synthetic_shr": noise(2, 1, 4, 4)}
    assert shown(run, images) == []


def test_no_more_examples_than_the_page_can_hold(run):
    images = {"real": noise(40, 1, 4, 4), "real_frerec": noise(40, 1, 4, 4)}
    assert len(shown(run, images)) == 6


def test_every_image_says_what_it_shows(run):
    found = examples(run)
    alts = [shot.alt for example in found for shot in example.shots]
    assert len(alts) == len(set(alts))
    assert "Example image synthetic 1, normal: synthetic, after FreRec." in alts


def test_several_runs_have_their_own_classes_and_names(run):
    other = replace(run, dataset="fundus", classes=("grade 0", "grade 1"))
    found = examples(replace(run, showcase=None, parts=(run, other)))
    families = [example.family for example in found]
    assert families[0] == "synthetic-0"
    assert "synthetic-1" in families
    last = found[families.index("synthetic-1")]
    assert (last.lead, last.label) == ("fundus: ", "synthetic 1, grade 0")
