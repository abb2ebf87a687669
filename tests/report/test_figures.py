"""The figures show the numbers that they are of."""

import numpy as np
import pytest
from PIL import Image

from frerec.report.figures import auc_figure, spectra_figure, write_figures
from frerec.report.run import read_run
from frerec.report.sample_grid import choose, log_amplitude, sample_grid
from frerec.report.showcase import Showcase
from frerec.report.style import LIGHT, drawing


def test_a_wave_shows_at_its_place_in_the_centred_spectrum():
    y, x = np.mgrid[0:32, 0:32]
    wave = 127 + 100 * np.cos(2 * np.pi * (3 * y + 5 * x) / 32)
    spectrum = log_amplitude(np.stack([wave, wave, wave]))
    peaks = set(zip(*np.nonzero(spectrum > 1.0), strict=True))
    assert peaks == {(16, 16), (16 + 3, 16 + 5), (16 - 3, 16 - 5)}


def test_log_amplitude_agrees_with_the_sum_that_defines_the_transform():
    image = np.random.default_rng(0).integers(0, 256, (1, 6, 7)).astype(np.uint8)
    v, u = 2, -3
    y, x = np.mgrid[0:6, 0:7]
    total = (image[0] / 255 * np.exp(-2j * np.pi * (v * y / 6 + u * x / 7))).sum()
    expected = np.log(abs(total) / np.sqrt(42) + 1e-3)
    assert log_amplitude(image)[6 // 2 + v, 7 // 2 + u] == pytest.approx(expected)


def images(n):
    return np.zeros((n, 1, 8, 8), np.uint8)


def test_columns_take_the_classes_in_turn_and_follow_one_synthetic_image():
    show = Showcase(
        images={"real": images(5), "synthetic": images(6), "synthetic_shr": images(6)},
        labels={"real": np.array([1, 1, 0, 0, 1]), "synthetic": np.array([0, 0, 0, 1, 1, 1])},
    )
    assert choose(show) == {
        "real": [2, 0, 3, 1],
        "synthetic": [0, 3, 1, 4],
        "synthetic_shr": [0, 3, 1, 4],
    }


def test_few_images_without_labels_are_still_shown():
    assert choose(Showcase(images={"real": images(2)})) == {"real": [0, 1]}
    assert choose(Showcase(images={"synthetic": images(1), "real": images(3)})) == {
        "real": [0],
        "synthetic": [0],
    }
    assert choose(Showcase()) == {}


def test_a_column_names_both_classes_where_the_real_one_is_another():
    show = Showcase(
        images={"real": images(2), "synthetic": images(2)},
        labels={"real": np.array([0, 0]), "synthetic": np.array([0, 1])},
    )
    titles = [panel.get_title() for panel in sample_grid(show, ("none", "mild"), LIGHT).axes]
    assert [title for title in titles if title] == ["none", "none / mild"]


def test_grid_pairs_each_image_with_its_spectrum(run_dir):
    run = read_run(run_dir)
    panels = sample_grid(run.showcase, run.classes, LIGHT).axes
    assert len(panels) == 4 * 4 * 2
    position = choose(run.showcase)["synthetic"][1]
    row = panels[8:16]
    image, spectrum = (row[i].images[0].get_array() for i in (2, 3))
    expected = run.showcase.images["synthetic"][position]
    assert np.array_equal(image, expected[0])
    assert np.allclose(spectrum, log_amplitude(expected))
    scales = {panel.images[0].get_clim() for panel in panels[1::2]}
    assert len(scales) == 1


def test_auc_panels_hold_each_seed_and_the_papers_values_where_the_classifier_is_the_same(
    run_dir, made_auc
):
    with drawing(LIGHT):
        ours, other = auc_figure(read_run(run_dir), LIGHT).axes

    def drawn(panel, marker):
        return [line.get_xdata() for line in panel.lines if line.get_marker() == marker]

    assert [float(x[0]) for x in drawn(ours, "^")] == [0.834, 0.834, 0.888]
    assert drawn(other, "^") == []
    seeds = [sorted(map(float, x)) for x in drawn(other, "o")]
    assert seeds[0] == pytest.approx(sorted(made_auc("raw", "resnet10t", s) for s in range(3)))
    means = [float(x[0]) for x in drawn(other, "D")]
    assert means[0] == pytest.approx(np.mean(seeds[0]))


def test_lower_spectra_panel_is_the_difference_in_decibels():
    rho = np.array([0.0, 0.4, 0.8])
    real = np.array([9.0, -1.0, -4.0])
    double = real + np.log([2.0, 2.0, 10.0])
    zero = np.zeros(3)
    show = Showcase(rho=rho, spectra={"real": (real, zero), "synthetic": (double, zero)})
    upper, lower = spectra_figure(show, LIGHT).axes
    assert upper.lines[0].get_xdata() == pytest.approx([0.4, 0.8])
    difference = lower.lines[1].get_ydata()
    assert difference == pytest.approx([10 * np.log10(2), 10.0])


def test_files_come_in_both_themes_and_formats(run_dir, tmp_path):
    figures = write_figures(read_run(run_dir), tmp_path)
    assert [f.name for f in figures] == ["auc", "spectra", "samples"]
    files = [file for f in figures for theme in (f.light, f.dark) for file in theme.values()]
    assert len(set(files)) == 3 * 2 * 2
    assert all(file.stat().st_size > 1000 for file in files)
    auc = figures[0]
    with Image.open(auc.light["png"]) as light, Image.open(auc.dark["png"]) as dark:
        assert light.size == dark.size
        assert light.size[0] == 1280
        assert light.getpixel((2, 2))[:3] == (255, 255, 255)
        assert max(dark.getpixel((2, 2))[:3]) < 40


def test_a_run_with_nothing_to_draw_has_no_figures(tmp_path, build):
    states = {("raw", "resnet50", seed): "pending" for seed in range(3)}
    run = build(tmp_path / "r", arms=("raw",), classifiers=("resnet50",), states=states,
                showcase=False)  # fmt: skip
    assert write_figures(read_run(run), tmp_path) == []
