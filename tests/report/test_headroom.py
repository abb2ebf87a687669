"""The ceiling against raw, and that against the spread over seeds, in every table of results."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from axes import dose_run, grid_run, size_run
from scipy import stats

from frerec.evaluation.statistics import Estimate
from frerec.report.ablation_table import ablation_table
from frerec.report.blocks import groups
from frerec.report.headroom import LITTLE, MEANING, Headroom, headroom, headroom_notes, headrooms
from frerec.report.latex import latex
from frerec.report.main_tables import main_table, overview_table
from frerec.report.run import read_run
from frerec.report.sensitivity_table import sensitivity_table


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    path = tmp_path_factory.mktemp("sizes") / "run"
    return read_run(size_run(path, classifier="resnet50", published="cardiomegaly"))


@pytest.fixture(scope="module")
def doses(tmp_path_factory):
    return read_run(dose_run(tmp_path_factory.mktemp("doses") / "run", doses=(0.5, 0)))


def with_cells(run, change):
    return dataclasses.replace(run, cells=tuple(filter(None, map(change, run.cells))))


def aucs(run, arm, size):
    cells = [c for c in run.cells if c.arm == arm and dict(c.extra)["data.train_size"] == size]
    return np.array([c.test["auc"] for c in sorted(cells, key=lambda cell: cell.seed)])


def test_it_is_the_paired_difference_with_both_deviations_over_the_shared_seeds(sizes):
    without = with_cells(sizes, lambda c: None if (c.arm, c.seed) == ("ceiling", 1) else c)
    for run, seeds in ((sizes, [0, 1, 2]), (without, [0, 2])):
        ceiling = aucs(sizes, "ceiling", "100")[seeds]
        raw = aucs(sizes, "raw", "100")[seeds]
        found = headroom(groups(run)[0], groups(run))
        gap = ceiling - raw
        low, high = stats.t.interval(0.95, len(gap) - 1, gap.mean(), stats.sem(gap))
        both = np.std(raw, ddof=1), np.std(gap, ddof=1)
        assert found.record() == pytest.approx(
            {"headroom": gap.mean(), "headroom_low": low, "headroom_high": high,
             "headroom_seeds": len(seeds), "raw_sd": both[0], "difference_sd": both[1],
             "seed_sd": max(both), "headroom_to_sd": gap.mean() / max(both),
             "ceiling": "ceiling", "ceiling_images": 200, "gda_samples": 200}
        )  # fmt: skip


def test_main_tables_have_a_row_a_block_and_the_columns(sizes):
    expected = headrooms(groups(sizes))
    for table in (overview_table(sizes), main_table(sizes)):
        rows = [row for row in table.rows if row.cells[0] == "headroom"]
        assert [row.group.split(", ")[-1] for row in rows] == ["train size 100", "train size 500"]
        assert {len(row.cells) for row in table.rows} == {len(table.columns)}
        first = expected["resnet50, train size 100"]
        assert first.cell in rows[0].cells
        assert first.cell.startswith(f"+{first.difference.mean:.3f} [")
        assert first.cell.endswith(f", {first.ratio:.1f}\u00a0sd")
        frame = table.frame[table.frame["data.train_size"] == "100"]
        assert set(frame.headroom_to_sd) == {first.ratio}
        assert pd.isna(table.frame[table.frame["data.train_size"] == "all"].headroom).all()
        assert MEANING in table.notes
        assert any("fewer than gda's 1\u202f000 samples" in note for note in table.notes)
        in_use = "train size all: headroom not known: every real training image is in use."
        assert any(note.endswith(in_use) for note in table.notes)
        assert any("of its whole training set" in note for note in table.notes)
        for text in (table.markdown(), latex(table)):
            assert "headroom" in text
    fine = "resnet50, train size 100: headroom +"
    assert any(note.startswith(fine) for note in overview_table(sizes).notes)
    assert not any(note.startswith(fine) for note in main_table(sizes).notes), "its row says it"


def test_without_a_ceiling_every_table_says_so(kept_run):
    run = read_run(kept_run)
    for table in (overview_table(run), main_table(run)):
        assert "Headroom not known: no ceiling arm." in table.notes
        assert MEANING not in table.notes
        assert table.frame.headroom.isna().all()
        assert (table.frame.headroom_seeds == 0).all()
        assert not any(row.cells[0] == "headroom" for row in table.rows)


def test_ablation_and_sensitivity_say_it_once_for_the_same_cells(tmp_path):
    cells = [
        (arm, ratio, gain, {"train_real": 200, "train_synthetic": 0 if arm == "raw" else 200})
        for ratio in (0.3, 0.5)
        for arm, gain in (("raw", 0.0), ("shr", 0.0), ("frerec", 0.1), ("ceiling", 0.4))
    ]
    path = grid_run(tmp_path / "r", "calibrator.shr.ratio", cells, seeds=(0, 1),
                    untouched=lambda arm: arm in ("raw", "ceiling"))  # fmt: skip
    run = read_run(path)
    for table in (ablation_table(run), sensitivity_table(run)):
        said = [note for note in table.notes if "headroom +" in note]
        assert len(said) == 1
        assert said[0].startswith("resnet10t: headroom +")
        assert said[0].endswith("the ceiling got 200 extra real images; its interval holds zero.")
        assert table.frame.headroom.nunique() == 1
        assert table.frame.headroom.notna().all()


def test_gda_at_dose_0_is_the_ceiling_of_every_dose(doses):
    found = headrooms(groups(doses))
    clean = [c.test["auc"] for c in doses.cells
             if c.arm == "gda" and c.extra == (("generator.dose", "0"),)]  # fmt: skip
    raw = [c.test["auc"] for c in doses.cells
           if c.arm == "raw" and c.extra == (("generator.dose", "0"),)]  # fmt: skip
    assert list(found) == ["resnet10t, dose 0.5", "resnet10t, dose 0"]
    for each in found.values():
        assert each.ceiling == "gda at dose 0"
        assert each.difference.mean == pytest.approx(np.mean(clean) - np.mean(raw))
    (_, sentence) = headroom_notes(found)
    assert sentence.startswith("resnet10t: headroom +")
    assert "the ceiling (gda at dose 0) got 600 extra real images, as many as" in sentence


def test_the_dose_of_other_data_or_another_raw_is_no_ceiling(doses):
    def elsewhere(cell):
        at_zero = cell.extra == (("generator.dose", "0"),)
        return dataclasses.replace(cell, id=f"other-{cell.id}") if at_zero else cell

    def other_data(cell):
        at_zero = cell.extra == (("generator.dose", "0"),)
        return dataclasses.replace(cell, data="other") if at_zero else cell

    for change in (elsewhere, other_data):
        blocks = groups(with_cells(doses, change))
        assert headroom(blocks[0], blocks).unknown == "no ceiling arm"


def test_what_has_no_result_is_not_known_and_says_why(sizes):
    def without(arm, seeds=(0, 1, 2)):
        def change(cell):
            lost = cell.arm == arm and cell.seed in seeds
            return dataclasses.replace(cell, state="failed", test={}) if lost else cell

        return change

    def said(*changes):
        run = sizes
        for change in changes:
            run = with_cells(run, change)
        return headroom(groups(run)[0], groups(run)).sentence

    assert said(without("ceiling")) == "headroom not known: the ceiling has no result"
    assert said(without("raw")) == "headroom not known: raw has no result"
    apart = (without("raw", (0,)), without("ceiling", (1, 2)))
    assert said(*apart) == "headroom not known: the ceiling and raw share no finished seed"
    alone = said(without("ceiling", (1, 2)))
    assert "over 1 seed, whose spread one seed does not tell;" in alone
    assert LITTLE not in alone


def test_a_ceiling_that_got_no_image_is_none(sizes):
    def none_left(cell):
        real = {"train_real": 200.0, "train_synthetic": 0.0}
        return dataclasses.replace(cell, training=real)

    blocks = groups(with_cells(sizes, none_left))
    assert headroom(blocks[0], blocks).unknown == "no real image was left for the ceiling"


@pytest.mark.parametrize(
    ("mean", "raw_sd", "difference_sd", "little"),
    [
        (0.02, 0.01, 0.019, False),
        (0.02, 0.01, 0.02, True),
        (0.02, 0.03, 0.01, True),
        (-0.1, 0.01, 0.01, True),
        (0.02, 0.0, 0.0, False),
        (0.02, None, None, False),
    ],
)
def test_the_larger_deviation_decides_whether_there_is_room(mean, raw_sd, difference_sd, little):
    found = Headroom("ceiling", Estimate(mean, mean - 0.05, mean + 0.05, 3), raw_sd, difference_sd)
    assert found.little is little
    assert (LITTLE in found.sentence) is little
    (*_, note) = headroom_notes({"a": found}, doubtful_only=True)
    assert (LITTLE in note) is little


def test_blocks_stand_in_the_order_of_the_plan_whatever_null_is_called(tmp_path):
    for name, value in (("a", None), ("b", "None"), ("c", "null")):
        cells = [("raw", size, 0.0, {}) for size in (500, value, 100)]
        run = read_run(grid_run(tmp_path / name, "data.train_size", cells, seeds=(0,)))
        assert [block.title.split(", ")[1] for block in groups(run)] == [
            "train size 500", "train size all", "train size 100",
        ]  # fmt: skip
    cells = [("raw", value, 0.0, {}) for value in (None, 2)]
    run = read_run(grid_run(tmp_path / "d", "samples.ratio", cells, seeds=(0,)))
    assert [block.extra[0][1] for block in groups(run)] == ["null", "2"]


def test_only_the_whole_training_set_is_compared_with_the_papers_numbers(sizes):
    for table in (overview_table(sizes), main_table(sizes)):
        gaps = table.frame.query("arm == 'raw'").set_index("data.train_size").difference_to_paper
        assert gaps.notna().to_dict() == {"100": False, "500": False, "all": True}
        assert any("of a smaller one no difference is formed" in note for note in table.notes)
