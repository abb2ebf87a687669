"""The figure of paired differences shows every comparison where the tables have it."""

import pytest
from axes import size_run
from matplotlib.colors import to_hex

from frerec.report.comparisons import compare
from frerec.report.figures import contrasts as figure_module
from frerec.report.figures.contrasts import contrast_alt, contrast_figure, contrasts
from frerec.report.merging import read_runs
from frerec.report.run import read_run
from frerec.report.style import LIGHT, THEMES, drawing
from frerec.report.tabular import signed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return read_run(size_run(tmp_path_factory.mktemp("sizes") / "run"))


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_comparison_is_a_marker_at_its_mean_filled_where_claimed(run, theme):
    found = contrasts(run)
    with drawing(theme):
        figure = contrast_figure(found, theme)
        figure.draw_without_rendering()
    (panel,) = (axes for axes in figure.axes if axes.get_visible())
    marks = [line for line in panel.lines if line.get_marker() not in ("None", None, "")]
    expected = compare(run)
    assert len(marks) == len(expected)
    drawn = sorted((float(m.get_xdata()[0]), to_hex(m.get_markerfacecolor()) != theme.ground)
                   for m in marks)  # fmt: skip
    told = sorted((c.difference.estimate.mean, c.claimed) for c in expected)
    assert [x for x, _ in drawn] == pytest.approx([x for x, _ in told])
    assert [filled for _, filled in drawn] == [claimed for _, claimed in told]
    assert {claimed for _, claimed in told} == {True, False}, "the test needs both"


def test_a_comparison_stands_on_the_line_of_its_pair_and_the_intervals_end_where_they_should(run):
    (each,) = contrasts(run)
    with drawing(LIGHT):
        figure = contrast_figure([each], LIGHT)
    panel = figure.axes[0]
    labels = [label.get_text() for label in panel.get_yticklabels()]
    ends = {tuple(line.get_xdata()): float(line.get_ydata()[0]) for line in panel.lines}
    for comparison in each.settings["train size 500"]:
        seeds, both = comparison.difference.estimate, comparison.result.both
        line = labels.index(f"{comparison.first} − {comparison.second}")
        for low, high in ((seeds.low, seeds.high), (both.low, both.high)):
            assert abs(ends[low, high] - line) < 0.5


def test_the_words_have_every_number(run):
    text = contrast_alt(contrasts(run))
    for comparison in compare(run):
        assert signed(comparison.difference.estimate.mean) in text


def test_a_run_of_too_many_settings_has_no_such_panel(run, monkeypatch):
    monkeypatch.setattr(figure_module, "MOST", 2)
    assert contrasts(run) == []


def test_four_panels_are_two_and_two_and_each_row_has_its_own_lines(tmp_path):
    """A row whose arms are fewer is not drawn with empty lines."""
    folders = []
    for name, arms in (("a", ("raw", "gda", "frerec", "gda_radial")), ("b", ("raw", "gda")),
                       ("c", ("raw", "gda")), ("d", ("raw", "gda"))):  # fmt: skip
        folders.append(size_run(tmp_path / name, (100,), data=name, arms=arms, seeds=(0, 1)))
    with drawing(LIGHT):
        figure = contrast_figure(contrasts(read_runs(folders)), LIGHT)
        figure.draw_without_rendering()
    shown = [panel for panel in figure.axes if panel.get_visible()]
    places = [panel.get_subplotspec() for panel in shown]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    labels = [[t.get_text() for t in panel.get_yticklabels()] for panel in shown]
    assert "frerec − gda_radial" in labels[0]
    assert labels[2] == ["gda − raw"]
