"""The figures show the numbers that they are of."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from frerec.evaluation.curves import RocBand
from frerec.report.figures import FigureFiles, roc, save_figure, write_figures, writing
from frerec.report.figures.auc import auc_figure
from frerec.report.figures.spectra import spectra_figure
from frerec.report.run import read_run
from frerec.report.sample_grid import choose, log_amplitude, sample_grid
from frerec.report.sections import SECTIONS
from frerec.report.showcase import Showcase
from frerec.report.style import LIGHT, THEMES, drawing, look


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


def two_dots(theme):
    figure = Figure(figsize=(6.4, 2), layout="constrained")
    panel = figure.subplots()
    panel.scatter([0, 1], [0, 1], color=theme.series["synthetic"], label="$one$ ρ")
    panel.legend()
    return figure


def one_figure(folder):
    folder.mkdir()
    return save_figure(folder, "dots", two_dots, title="Dots", alt="a", caption="c",
                       section="results")  # fmt: skip


def test_files_come_in_both_themes_and_all_formats_and_are_the_same_bytes_again(tmp_path):
    first, again = (one_figure(tmp_path / name) for name in ("a", "b"))
    assert {file.name for theme in (first.light, first.dark) for file in theme.values()} == {
        f"dots{theme}.{suffix}" for theme in ("", "_dark") for suffix in ("png", "svg", "pdf")
    }
    for theme in ("light", "dark"):
        for suffix, file in getattr(first, theme).items():
            assert file.read_bytes() == getattr(again, theme)[suffix].read_bytes(), file.name
    with Image.open(first.light["png"]) as light, Image.open(first.dark["png"]) as dark:
        assert light.size == dark.size
        assert light.size[0] == 1280
        assert light.getpixel((2, 2))[:3] == (255, 255, 255)
        assert max(dark.getpixel((2, 2))[:3]) < 40
    pdf = first.light["pdf"].read_bytes()
    assert b"/FontFile2" in pdf, "TrueType in the file"
    assert b"/Type3" not in pdf, "a publisher refuses it"
    assert "<text" not in first.light["svg"].read_text(), "letters are drawn: no font is needed"


@pytest.fixture
def named(monkeypatch):
    """What would be drawn, without drawing it."""

    def record(_folder, name, _draw, *, formats, **texts):
        return FigureFiles(name, light={}, dark={}, **texts)

    monkeypatch.setattr(writing, "save_figure", record)


def test_every_figure_has_a_place_on_the_page_and_words(run_dir, tmp_path, named):
    figures = {figure.name: figure for figure in write_figures(read_run(run_dir), tmp_path)}
    assert list(figures) == ["auc", "contrasts", "roc", "reliability", "mean_spectra", "spectra",
                             "samples", "differences", "embedding"]  # fmt: skip
    for figure in figures.values():
        assert figure.section in SECTIONS
        assert len(figure.alt) > 40
        assert "nan" not in figure.alt
        assert figure.caption.endswith(".")


def test_two_runs_have_figures_of_their_own_and_no_formats_none(run_dir, tmp_path, named):
    run = read_run(run_dir)
    assert write_figures(run, tmp_path, formats=()) == []
    parts = [dataclasses.replace(run, name=name, cells=()) for name in ("first", "second")]
    both = dataclasses.replace(run, parts=tuple(parts), showcase=None, cells=())
    figures = {figure.name: figure.title for figure in write_figures(both, tmp_path)}
    assert len(figures) == 2 * 5
    assert figures["spectra_2"] == "Radial spectra, second"


def test_what_both_themes_need_is_computed_once(tmp_path, run_dir, monkeypatch):
    counted = []

    def band(made):
        counted.append(made)
        return RocBand(np.linspace(0, 1, 201), np.linspace(0, 1, 201), None, None, "")

    monkeypatch.setattr(roc, "roc_band", band)
    run = dataclasses.replace(read_run(run_dir), showcase=None)
    run = dataclasses.replace(run, cells=tuple(c for c in run.cells if c.classifier == "resnet50"))
    figures = {figure.name: figure for figure in write_figures(run, tmp_path, ("png",))}
    assert len(counted) == 4, "one an arm"
    assert "band is not drawn (too few patients to draw from)." in figures["roc"].caption
    assert "take images as independent" in figures["reliability"].caption
    for figure in figures.values():
        assert set(figure.light) == set(figure.dark) == {"png"}
        assert figure.light["png"].stat().st_size > 5000


def test_a_run_with_nothing_to_draw_has_no_figures(tmp_path, build, named):
    states = {("raw", "resnet50", seed): "pending" for seed in range(3)}
    run = build(tmp_path / "r", arms=("raw",), classifiers=("resnet50",), states=states,
                showcase=False)  # fmt: skip
    assert write_figures(read_run(run), tmp_path) == []


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_many_arms_are_told_apart_without_their_colour(theme):
    looks = [look(theme, number) for number in range(36)]
    assert len({(str(each.line), each.marker) for each in looks}) == 36
    for first in range(1, 30):  # the arms of a panel, beside the first arm
        colours = [looks[0].colour] + [each.colour for each in looks[first : first + 4]]
        assert len(set(colours)) == 5


@pytest.mark.filterwarnings("error")
def test_a_name_in_a_script_that_the_font_lacks_is_drawn_without_a_warning(tmp_path):
    def draw(_theme):
        figure = Figure(figsize=(1, 1))
        figure.text(0.1, 0.5, "心臓 🫀")
        return figure

    save_figure(tmp_path, "a", draw, title="A", alt="a", caption="c", section="results")
    assert len(list(tmp_path.iterdir())) == 6
