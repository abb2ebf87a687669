"""Mean spectra, difference images and embeddings show the arrays of the showcase."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from frerec.errors import DataError
from frerec.report.embedding import Embedding
from frerec.report.figures.differences import differences_figure, shown_pairs
from frerec.report.figures.embedding import (
    embedding_alt,
    embedding_caption,
    embedding_figure,
    shown_methods,
)
from frerec.report.figures.mean_spectra import (
    mean_spectra_alt,
    mean_spectra_figure,
    shown_planes,
)
from frerec.report.run import read_run
from frerec.report.showcase import Showcase, read_showcase
from frerec.report.style import LIGHT, drawing

DB = 10 / np.log(10)


@pytest.fixture
def show(build, tmp_path):
    return read_run(build(tmp_path / "r", classifiers=("resnet10t",), seeds=(0,), size=16)).showcase


def test_mean_spectra_are_in_decibels_on_one_scale_and_their_differences_to_real(show):
    assert shown_planes(show) == ["real", "synthetic", "synthetic_frerec", "real_frerec"]
    with drawing(LIGHT):
        panels = [p for p in mean_spectra_figure(show, LIGHT).axes if p.images]
    drawn = [panel.images[0] for panel in panels]
    real, synthetic, frerec = (
        show.planes[name] for name in ("real", "synthetic", "synthetic_frerec")
    )
    assert np.allclose(drawn[0].get_array(), DB * real)
    assert np.allclose(drawn[1].get_array(), DB * synthetic)
    assert np.allclose(drawn[4].get_array(), DB * (synthetic - real))
    assert np.allclose(drawn[5].get_array(), DB * (frerec - real))
    assert len({image.get_clim() for image in drawn[:4]}) == 1
    (scale,) = {image.get_clim() for image in drawn[4:]}
    assert scale[0] == -scale[1]


def test_the_words_of_the_mean_spectra_are_the_difference_in_the_high_band():
    real = np.zeros((8, 8))
    synthetic = np.zeros((8, 8))
    synthetic[0, :] = np.log(10)  # the Nyquist row: all of it in the high band
    text = mean_spectra_alt(Showcase(planes={"real": real, "synthetic": synthetic}))
    rows, columns = np.mgrid[-4:4, -4:4] / 4
    inside = np.hypot(rows, columns) >= 0.5
    assert f"synthetic {10 * 8 / inside.sum():.1f} dB" in text


def test_differences_are_after_minus_before_of_the_same_image_on_one_scale():
    before = np.full((3, 3, 8, 8), 100, np.uint8)
    after = before.copy()
    after[:, 0] += 30  # one channel of three
    after[:, 1] -= 60
    show = Showcase(
        images={"synthetic": before, "synthetic_frerec": after, "real": before[:1],
                "real_frerec": before[:1]},
    )  # fmt: skip
    first, second = shown_pairs(show)
    assert np.allclose(first.difference, -10)
    assert (first.after, second.after) == ("synthetic_frerec", "real_frerec")
    with drawing(LIGHT):
        figure = differences_figure(show, LIGHT)
    maps = [
        p.images[0] for p in figure.axes if p.images and p.images[0].get_cmap().name == "RdBu_r"
    ]
    assert len(maps) == 3 + 1
    assert {image.get_clim() for image in maps} == {(-10.0, 10.0)}
    assert np.allclose(maps[0].get_array(), -10)


def test_nothing_calibrated_is_nothing_to_compare():
    assert shown_pairs(Showcase(images={"synthetic": np.zeros((2, 1, 8, 8), np.uint8)})) == []
    assert shown_planes(Showcase(planes={"real": np.zeros((4, 4))})) == []


def test_embedding_panels_hold_every_point_by_set_and_class(show):
    with drawing(LIGHT):
        panels = embedding_figure(show, ("normal", "large"), LIGHT).axes
    titles = [panel.get_title(loc="left") for panel in panels]
    assert titles[:2] == [
        "t-SNE, before calibration\nval, classifier of raw, 1-NN 0.96\n"
        "the same, calibrated: 1-NN 0.71",
        "t-SNE, after calibration\ntrain, classifier of frerec, 1-NN 0.62",
    ]
    before = show.embedding["before"]
    drawn = panels[0].collections
    assert len(drawn) == 4
    chosen = (before.sets == 1) & (before.labels == 0)
    assert np.allclose(drawn[2].get_offsets(), before.points["tsne"][chosen])
    assert len(drawn[2].get_facecolor()) == 0, "synthetic is open"
    assert "0.96" in embedding_alt(show)
    assert "1-NN 0.71" in embedding_caption(show)


def staged(show, **real):
    """The made-up embedding with the panel that changes the images alone."""
    before, after = show.embedding["before"], show.embedding["after"]
    fair = dataclasses.replace(
        before, overlap=0.71, overlap_calibrated=None, notes=before.notes | real
    )
    after = dataclasses.replace(after, notes=after.notes | real)
    before = dataclasses.replace(before, overlap_calibrated=None)
    stages = {"before": before, "calibrated": fair, "after": after}
    return dataclasses.replace(show, embedding=stages)


@pytest.mark.parametrize(
    ("treated", "words"),
    [(True, "60 calibrated real val images"), (False, "60 real (not calibrated) val images")],
)  # fmt: skip
def test_real_images_are_called_calibrated_where_they_are(show, treated, words):
    made = staged(show, real_calibrated=treated)
    with drawing(LIGHT):
        figure = embedding_figure(made, ("normal", "large"), LIGHT)
    assert len(figure.axes) == 2 * 3
    assert figure.axes[1].get_title(loc="left") == (
        "t-SNE, calibrated, same classifier\nval, classifier of raw, 1-NN 0.71"
    )
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert ("real, calibrated" in labels) is treated
    drawn = figure.axes[1].collections[0].get_facecolor()[0, :3]
    series = "real_frerec" if treated else "real"
    assert drawn == pytest.approx(to_rgb(LIGHT.series[series]))
    caption = embedding_caption(made)
    assert words in caption
    assert "differ in the images alone" in caption
    assert "0.71" in embedding_alt(made)


def test_a_method_that_failed_is_said_to_be_missing():
    points = {"tsne": np.zeros((2, 2))}
    sets, labels = np.array([0, 1], np.uint8), np.zeros(2, np.int64)
    show = Showcase(
        embedding={
            "before": Embedding(sets, labels, points, 0.5, None, {}),
            "after": Embedding(sets, labels, {}, 0.5, None, {}),
        },
        missing={"tsne after": "no room"},
    )
    assert shown_methods(show) == ["tsne"]
    with drawing(LIGHT):
        panel = embedding_figure(show, ("a",), LIGHT).axes[1]
    assert "no room" in panel.texts[0].get_text()


def test_the_showcase_is_checked_at_the_door(build, tmp_path):
    folder = build(tmp_path / "r", classifiers=("resnet10t",), seeds=(0,), size=16) / "showcase"
    found = read_showcase(folder)
    assert [entry["arm"] for entry in found.arm_fidelity] == ["shr", "frerec"]
    assert found.inference[1]["ms_per_image"] == 61.5
    notes = json.loads((folder / "showcase.json").read_text())
    (folder / "showcase.json").write_text(json.dumps(notes | {"inference": [{"method": "x"}]}))
    with pytest.raises(DataError, match="inference must be a list of entries with method, ms_per"):
        read_showcase(folder)
    (folder / "showcase.json").write_text(json.dumps(notes))
    with np.load(folder / "embedding.npz") as arrays:
        damaged = dict(arrays) | {"tsne_before": np.zeros((3, 2))}
    np.savez(folder / "embedding.npz", **damaged)
    with pytest.raises(DataError, match="points and labels of before must have a row an image"):
        read_showcase(folder)
