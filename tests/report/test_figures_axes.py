"""Figures of AUC along an axis of the grid show the cells' numbers at their places."""

import dataclasses

import numpy as np
import pytest
from axes import DOSES, dose_run, size_run
from matplotlib.colors import to_hex

from frerec.evaluation.statistics import mean_interval
from frerec.report.figures import save_figure, writing
from frerec.report.figures.along import CLEAN, axes_along, stem
from frerec.report.figures.auc import auc_figure
from frerec.report.figures.axis_curves import axis_alt, axis_caption, axis_figure
from frerec.report.merging import read_runs
from frerec.report.run import read_run
from frerec.report.style import LIGHT, THEMES, drawing

DOSE, SIZE = "generator.dose", "data.train_size"


@pytest.fixture(scope="module")
def doses(tmp_path_factory):
    return read_run(dose_run(tmp_path_factory.mktemp("doses") / "run"))


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sizes")
    arms = ("raw", "gda", "ceiling")
    return read_runs(
        [
            size_run(folder / "a", data="hearts", arms=arms, seeds=(0, 1)),
            size_run(folder / "b", (500, 100), data="brains", arms=arms, seeds=(0, 1)),
        ]
    )


def auc(run, arm, value, axis):
    return {c.seed: c.test["auc"] for c in run.cells
            if c.arm == arm and dict(c.extra)[axis] == value}  # fmt: skip


def test_doses_hold_every_seed_and_what_they_do_not_touch_is_level(doses):
    (panel,) = axes_along(doses)[DOSE]
    assert list(panel.lines) == ["raw", "gda", "frerec", "raw_frerec", CLEAN]
    assert [arm for arm, line in panel.lines.items() if line.level] == ["raw", "raw_frerec", CLEAN]
    assert panel.lines["frerec"].values[0.25] == auc(doses, "frerec", "0.25", DOSE)
    assert list(panel.lines["gda"].values) == list(DOSES)
    assert panel.lines[CLEAN].values[1.0] == auc(doses, "gda", "0", DOSE)
    assert not panel.logarithmic


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_the_drawing_has_means_seeds_and_bands_of_those_numbers(doses, theme):
    (found,) = axes_along(doses)[DOSE]
    with drawing(theme):
        figure = axis_figure([found], doses, theme)
        figure.draw_without_rendering()
        (panel,) = figure.axes
    means = [np.mean([*seeds.values()]) for seeds in found.lines["gda"].values.values()]
    curve = next(line for line in panel.lines if line.get_marker() == "s")
    assert curve.get_ydata() == pytest.approx(means)
    assert np.abs(curve.get_xdata() - np.array(DOSES)).max() < 0.04
    dots = [y for line in panel.lines if line.get_ls() == "None" for y in line.get_ydata()]
    expected = [y for arm in ("gda", "frerec") for at in found.lines[arm].values.values()
                for y in at.values()]  # fmt: skip
    expected += [y for arm in ("raw", "raw_frerec") for y in found.lines[arm].values[0.0].values()]
    assert sorted(dots) == pytest.approx(sorted(expected))
    raw = mean_interval([*found.lines["raw"].values[0.0].values()])
    bands = [(p.get_y(), p.get_y() + p.get_height()) for p in panel.patches]
    assert any(band == pytest.approx((raw.low, raw.high)) for band in bands)
    assert len(bands) == 3
    low, high = panel.get_xlim()
    assert low < 0 < 1 < high
    assert "0: clean real images, 1: full damage" in panel.get_xlabel()
    assert to_hex(panel.get_facecolor()) == theme.ground


def test_all_images_stand_where_the_cells_recorded_them(sizes):
    hearts, brains = axes_along(sizes)[SIZE]
    assert hearts.ticks == {100.0: "100", 500.0: "500", 2219.0: "all\n(2\u202f219)"}
    assert brains.ticks == {100.0: "100", 500.0: "500"}
    assert (hearts.title, brains.title) == ("hearts, resnet10t", "brains, resnet10t")
    assert hearts.logarithmic
    assert list(hearts.lines["ceiling"].values) == [100.0, 500.0]
    with drawing(LIGHT):
        panels = axis_figure([hearts, brains], sizes, LIGHT).axes
    assert [panel.get_xscale() for panel in panels] == ["log", "log"]
    labels = [label.get_text() for label in panels[0].get_xticklabels()]
    assert labels == ["100", "500", "all\n(2\u202f219)"]


def test_what_a_ceiling_withheld_is_not_counted_as_the_whole_set(sizes):
    training = {"train_real": 5138.0, "train_withheld": 700.0}
    cells = tuple(dataclasses.replace(cell, training=training) for cell in sizes.cells)
    hearts = axes_along(dataclasses.replace(sizes, cells=cells))[SIZE][0]
    assert list(hearts.ticks) == [100.0, 500.0, 2219.0]


def test_an_unrecorded_whole_set_stands_last_and_has_no_number(sizes):
    cells = tuple(dataclasses.replace(cell, training={}) for cell in sizes.cells)
    hearts = axes_along(dataclasses.replace(sizes, cells=cells))[SIZE][0]
    assert hearts.ticks == {100.0: "100", 500.0: "500", 1000.0: "all"}


def test_an_arm_that_no_panel_follows_is_left_to_the_tables(sizes):
    kept = {"raw": {"100", "500", "all"}, "gda": {"100", "500"}, "ceiling": {"500"}}
    cells = tuple(c for c in sizes.cells if dict(c.extra)[SIZE] in kept[c.arm])
    assert any(c.arm == "ceiling" for c in cells)
    panels = axes_along(dataclasses.replace(sizes, cells=cells))[SIZE]
    assert [list(panel.lines) for panel in panels] == [["raw", "gda"]] * 2


def test_an_arm_at_one_value_here_and_at_two_there_is_drawn_in_both(sizes):
    cells = tuple(
        c
        for c in sizes.cells
        if (c.data, c.arm) != ("brains", "gda") or dict(c.extra)[SIZE] == "100"
    )
    hearts, brains = axes_along(dataclasses.replace(sizes, cells=cells))[SIZE]
    assert len(hearts.lines["gda"].values) > 1
    assert len(brains.lines["gda"].values) == 1


def test_a_long_legend_stays_within_the_figure(sizes):
    panels = axes_along(sizes)[SIZE]
    arms = [f"frerec_synthetic_only_{i}" for i in range(11)]
    wide = [dataclasses.replace(p, lines=dict.fromkeys(arms, p.lines["gda"])) for p in panels]
    cells = tuple(dataclasses.replace(sizes.cells[0], arm=arm) for arm in arms)
    with drawing(LIGHT):
        figure = axis_figure(wide, dataclasses.replace(sizes, cells=cells), LIGHT)
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1


def renamed(run, axis, values=None):
    """The dose run with another axis, of these values."""

    def change(cell):
        value = cell.extra[0][1]
        return dataclasses.replace(cell, extra=((axis, (values or {}).get(value, value)),))

    return dataclasses.replace(run, cells=tuple(map(change, doses_of(run))))


def doses_of(run):
    return [cell for cell in run.cells if cell.extra[0][1] in ("0", "1.0")]


def test_nothing_is_drawn_of_one_value_of_words_or_of_r_and_k(doses, kept_run):
    assert axes_along(read_run(kept_run)) == {}
    words = renamed(doses, "generator.damage", {"0": "noise", "1.0": "checkerboard"})
    assert axes_along(words) == {}
    assert axes_along(renamed(doses, "calibrator.shr.ratio")) == {}
    one = tuple(cell for cell in doses.cells if cell.extra[0][1] == "0")
    assert axes_along(dataclasses.replace(doses, cells=one)) == {}
    assert list(axes_along(renamed(doses, "samples.ratio"))) == ["samples.ratio"]


def test_other_axes_and_generators_have_panels_of_their_own(doses):
    def twice(cell):
        more = (*cell.extra, ("generator.damage", "noise"))
        return (dataclasses.replace(cell, extra=(*cell.extra, ("generator.damage", "blur"))),
                dataclasses.replace(cell, extra=more))  # fmt: skip

    run = dataclasses.replace(doses, cells=tuple(c for cell in doses.cells for c in twice(cell)))
    titles = [panel.title for panel in axes_along(run)[DOSE]]
    assert titles == ["resnet10t, generator.damage blur", "resnet10t, generator.damage noise"]
    other = tuple(dataclasses.replace(cell, generator="other", id=f"x{cell.id}")
                  for cell in doses.cells if cell.generator and cell.arm == "gda")  # fmt: skip
    both = axes_along(dataclasses.replace(doses, cells=(*doses.cells, *other)))[DOSE]
    assert [panel.title for panel in both] == ["oracle, resnet10t", "other, resnet10t"]
    assert list(both[1].lines) == ["raw", "gda", "raw_frerec", CLEAN]


def test_real_images_alone_have_no_panel_of_a_generator_of_another_axis(doses, sizes):
    found = axes_along(dataclasses.replace(sizes, cells=(*sizes.cells, *doses.cells)))
    titles = {axis: [panel.title for panel in panels] for axis, panels in found.items()}
    assert titles == {
        SIZE: ["hearts, vae, resnet10t", "brains, vae, resnet10t"],
        DOSE: ["chest_xray, oracle, resnet10t"],
    }


def test_each_has_a_file_words_and_a_place(doses, sizes):
    assert (stem(DOSE), stem(SIZE), stem("samples.ratio")) == (
        "dose",
        "train_size",
        "samples_ratio",
    )
    for run, name in ((doses, "dose"), (sizes, "train_size")):
        figures = {each.name: each for each in writing._figures(run)}
        assert figures[name].section == "results"
        assert figures[name].caption.endswith(".")
    (panel,) = axes_along(doses)[DOSE]
    mean = np.mean([*panel.lines["gda"].values[0.5].values()])
    raw = np.mean([*panel.lines["raw"].values[0.5].values()])
    assert f"0.5: {mean:.3f}" in axis_alt([panel])
    assert f"raw: the same at every value {raw:.3f}" in axis_alt([panel])
    assert "Clean ceiling: gda at dose 0" in axis_caption([panel])
    assert "3 seeds each." in axis_caption([panel])


def test_train_sizes_of_a_data_set_stand_beside_each_other(sizes):
    with drawing(LIGHT):
        panels = [panel for panel in auc_figure(sizes, LIGHT).axes if panel.get_visible()]
    titles = [panel.get_title(loc="left") for panel in panels]
    places = [panel.get_subplotspec() for panel in panels]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1),
    ]  # fmt: skip
    assert titles[2] == "hearts, resnet10t, train size all"
    assert titles[3] == "brains, resnet10t, train size 500"


def test_many_panels_across_get_the_whole_width_of_the_page(doses, sizes, tmp_path):
    for run, name, wide in ((doses, "dose", False), (sizes, "auc", True)):
        (figure,) = (each for each in writing._figures(run) if each.name == name)
        made = save_figure(tmp_path, name, figure.draw, title="A", alt="a", caption="c",
                           section="results", formats=("svg",))  # fmt: skip
        assert made.wide is wide
