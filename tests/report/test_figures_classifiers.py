"""ROC curves, reliability diagrams and sensitivity curves show the numbers of the cells."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from frerec.report.figures.panels import arm_panels
from frerec.report.figures.reliability import reliability_alt, reliability_figure
from frerec.report.figures.roc import roc_alt, roc_bands, roc_covers, roc_figure
from frerec.report.figures.sensitivity import (
    heat_map_alt,
    heat_map_figure,
    sensitivity_alt,
    sensitivity_figure,
)
from frerec.report.figures.varied import NEIGHBOURS, RATIO, curves, heat_maps, uneven_seeds
from frerec.report.run import read_run
from frerec.report.style import LIGHT, drawing

MANY = ("raw", "gda", "frerec", "raw_frerec", "shr", "rhm", "gda_radial", "gda_fda", "gda_lowpass")


@pytest.fixture(scope="module")
def run(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "r"
    return read_run(build(folder, classifiers=("resnet10t",), showcase=False))


def test_a_roc_curve_is_the_mean_over_the_seeds_at_each_false_positive_rate(run):
    with drawing(LIGHT):
        (panel,) = roc_figure(run, LIGHT).axes
    labels = [line.get_label() for line in panel.lines]
    assert [label.split()[0] for label in labels[:4]] == ["raw", "gda", "frerec", "raw_frerec"]
    cells = [cell for cell in run.finished if cell.arm == "gda"]
    assert labels[1] == f"gda {np.mean([cell.test['auc'] for cell in cells]):.3f}"
    grid, drawn = panel.lines[1].get_xdata(), panel.lines[1].get_ydata()
    expected = []
    for cell in cells:
        made = cell.predictions["test"]
        fpr, tpr, _ = roc_curve(made.labels, made.probabilities[:, 1], drop_intermediate=False)
        expected.append(np.interp(grid, fpr, tpr))
    inner = (grid > 0.02) & (np.abs(grid * 60 - np.round(grid * 60)) > 0.05)  # 60 negatives: steps
    assert drawn[inner] == pytest.approx(np.mean(expected, axis=0)[inner], abs=1e-6)
    assert len(panel.collections) == 4, "a band for each arm"


def test_reliability_shows_shares_counts_and_the_metric_itself(run):
    with drawing(LIGHT):
        upper, lower = reliability_figure(run, LIGHT).axes
    cells = [cell for cell in run.finished if cell.arm == "raw"]
    right, confidence = [], []
    for cell in cells:
        made = cell.predictions["test"]
        right.append(made.probabilities.argmax(1) == made.labels)
        confidence.append(made.probabilities.max(1))
    right, confidence = np.concatenate(right), np.concatenate(confidence)
    inside = (confidence >= 0.7) & (confidence < 0.8)
    line = upper.lines[0]
    place = 2  # the bins 0.5, 0.6, 0.7
    assert line.get_ydata()[place] == pytest.approx(right[inside].mean())
    assert line.get_label() == f"raw {np.mean([cell.test['ece'] for cell in cells]):.3f}"
    counts = lower.patches[0].get_data().values
    assert counts[7] == pytest.approx(inside.sum() / 3)
    assert counts.sum() == pytest.approx(120)
    assert line.get_label() in reliability_alt(run)


def test_the_bands_say_what_they_are_over(run):
    bands = roc_bands(run)
    assert {band.covers for band in bands.values()} == {"seeds and patients"}
    assert roc_covers(bands) == "The pointwise 95 % bootstrap band is over seeds and patients."
    one = ("resnet10t", "gda")
    bands |= {one: dataclasses.replace(bands[one], covers="patients")}
    assert roc_covers(bands).endswith("over patients alone (one seed) for gda.")


@pytest.mark.parametrize("count", [2, 5])
def test_probabilities_begin_at_chance_whatever_a_run_says_of_its_classes(build, tmp_path, count):
    names = tuple("abcde"[:count])
    run = read_run(build(tmp_path / "r", classifiers=("resnet10t",), arms=("raw",), classes=names,
                         seeds=(0,), showcase=False))  # fmt: skip
    with drawing(LIGHT):
        upper = reliability_figure(dataclasses.replace(run, classes=()), LIGHT).axes[0]
    assert upper.get_xlim()[0] == pytest.approx(1 / count - 0.03)
    assert upper.lines[0].get_xdata().min() > upper.get_xlim()[0]


def test_many_arms_share_panels_that_all_begin_with_the_first(build, tmp_path):
    run = read_run(build(tmp_path / "r", arms=MANY, seeds=(0,), classifiers=("resnet10t",),
                         showcase=False))  # fmt: skip
    panels = arm_panels(run)
    assert [panel.title for panel in panels] == ["resnet10t (1 of 2)", "resnet10t (2 of 2)"]
    assert all(panel.arms[0] == "raw" and len(panel.arms) == 5 for panel in panels)
    assert sorted({arm for panel in panels for arm in panel.arms}) == sorted(MANY)
    assert all(arm in roc_alt(run) for arm in MANY)


AXES = ("calibrator.shr.ratio", "calibrator.shr.neighbours")


def varied(run, ratios, neighbours, axes=AXES):
    """The run over r and K: the AUC of frerec falls with the distance to 0.5 and 200."""
    cells = []
    for cell in run.cells:
        for r in ratios:
            for k in neighbours:
                touched = cell.arm == "frerec"
                auc = 0.9 - abs(r - 0.5) / 10 - abs(k - 200) / 1e4 + cell.seed / 100
                extra = ((axes[0], str(r)), (axes[1], str(k)))
                test = dict(cell.test) | ({"auc": auc} if touched else {})
                name = f"{cell.id}-{r}-{k}" if touched else cell.id
                cells.append(dataclasses.replace(cell, id=name, extra=extra, test=test))
    return dataclasses.replace(run, cells=tuple(cells))


def test_sensitivity_shows_seeds_mean_and_the_papers_setting(run):
    found = curves(varied(run, (0.3, 0.5, 0.7), (50, 200)))
    assert [(each.axis, each.title) for each in found] == [
        (RATIO, "resnet10t, K = 200"),
        (NEIGHBOURS, "resnet10t, r = 0.5"),
    ]
    assert found[0].untouched == {"raw", "gda", "raw_frerec"}
    assert found[0].arms["frerec"][0.3] == pytest.approx([0.88, 0.89, 0.9])
    with drawing(LIGHT):
        panel = sensitivity_figure(found, run, LIGHT).axes[0]
    drawn = [line.get_ydata() for line in panel.lines]
    assert any(np.allclose(y, [0.89, 0.91, 0.89]) for y in drawn if len(y) == 3)
    assert any(np.allclose(y, [0.88, 0.89, 0.9]) for y in drawn if len(y) == 3)
    marked = [line.get_xdata() for line in panel.lines if line.get_color() == LIGHT.muted]
    assert marked == [[0.5, 0.5]]
    assert "r 0.3: 0.890, 0.5: 0.910, 0.7: 0.890" in sensitivity_alt(found)


def test_both_settings_varied_give_a_map_of_the_arm_that_they_touch(run):
    (only,) = heat_maps(varied(run, (0.3, 0.5), (50, 200)))
    assert only.title == "frerec, resnet10t"
    assert only.auc == pytest.approx(np.array([[0.875, 0.895], [0.89, 0.91]]))
    with drawing(LIGHT):
        panel = heat_map_figure([only], LIGHT).axes[0]
    assert np.array_equal(panel.images[0].get_array(), only.auc)
    frame = panel.patches[0]
    assert (frame.get_x(), frame.get_y()) == (0.5, 0.5)
    assert "highest 0.910 at r 0.5, K 200, lowest 0.875 at r 0.3, K 50" in heat_map_alt([only])


def test_shr_by_itself_has_its_settings_under_another_key(run):
    over_r = varied(run, (0.3, 0.5), (200,), ("calibrator.ratio", "calibrator.neighbours"))
    (only,) = curves(over_r)
    assert (only.axis, set(only.arms["frerec"])) == (RATIO, {0.3, 0.5})


def test_a_run_at_the_default_is_a_point_of_the_curve(run, tmp_path):
    """Its cells have no axis: their configuration has the value."""
    (tmp_path / "config.yaml").write_text("calibrator: {shr: {ratio: 0.5, neighbours: 200}}")
    plain = [dataclasses.replace(cell, folder=tmp_path) for cell in run.cells]
    others = varied(run, (0.3, 0.7), (200,)).cells
    cells = (*others, *plain[:-1])
    cells = tuple(
        dataclasses.replace(c, extra=tuple(e for e in c.extra if e[0] == AXES[0])) for c in cells
    )
    cells = tuple(dataclasses.replace(c, folder=tmp_path) for c in cells)
    (only,) = curves(dataclasses.replace(run, cells=cells))
    assert set(only.arms["frerec"]) == {0.3, 0.5, 0.7}
    assert only.untouched == {"raw", "gda"}, "raw_frerec lacks a seed at the default"
    assert uneven_seeds([only]) == (
        "Different numbers of seeds: resnet10t, raw_frerec at r 0.3: 3, 0.5: 2, 0.7: 3."
    )


def test_an_interval_of_two_seeds_does_not_flatten_the_curve(run):
    cells = tuple(cell for cell in varied(run, (0.3, 0.5), (200,)).cells if cell.seed < 2)
    found = curves(dataclasses.replace(run, cells=cells))
    with drawing(LIGHT):
        panel = sensitivity_figure(found, run, LIGHT).axes[0]
    seeds = [x for arm in found[0].arms.values() for values in arm.values() for x in values]
    low, high = panel.get_ylim()
    assert low < min(seeds) < max(seeds) < high
    assert high - low < 1.5 * (max(seeds) - min(seeds))


def test_a_run_without_these_axes_has_no_sensitivity(run):
    assert curves(run) == []
    assert curves(varied(run, (0.5,), (200,))) == []
    assert heat_maps(varied(run, (0.3, 0.5), (200,))) == []
