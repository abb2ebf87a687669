"""Arms are compared on the same images and seeds, in two families, and words follow the tests."""

import json

import numpy as np
import pytest
from scipy import stats

from frerec.errors import DataError
from frerec.evaluation.delong import delong_test
from frerec.evaluation.predictions import read_predictions, write_predictions
from frerec.evaluation.statistics import holm
from frerec.report.comparison_table import comparison_table
from frerec.report.comparisons import CONTROLS, PAIRS, claimed_best, compare, groups
from frerec.report.main_tables import main_table
from frerec.report.results import results_frame
from frerec.report.run import read_run


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_over_seeds_it_is_scipys_test_on_the_common_seeds(tmp_path, build, made_auc):
    states = {("gda", "resnet50", 1): "failed"}
    run = read_run(build(tmp_path / "r", states=states, seeds=(0, 1, 2, 3), showcase=False))
    frame = comparison_table(run).frame
    assert len(frame) == len(PAIRS) * 2
    for _, row in frame.iterrows():
        gone = (
            {1} if "gda" in (row["first"], row["second"]) and row.classifier == "resnet50" else {}
        )
        seeds = [s for s in range(4) if s not in gone]
        a, b = (
            np.array([made_auc(row[side], row.classifier, s) for s in seeds])
            for side in ("first", "second")
        )
        expected = stats.ttest_rel(a, b)
        interval = expected.confidence_interval(0.95)
        assert row.seeds == len(seeds)
        assert (row.difference, row.low, row.high, row.p_seeds) == pytest.approx(
            ((a - b).mean(), interval.low, interval.high, expected.pvalue)
        )
        assert row.p == max(row.p_seeds, row.p_patients)
        assert row.both_low < row.difference < row.both_high
    ordered = np.sort(frame.p.to_numpy())
    stepped = np.maximum.accumulate(np.minimum(1, ordered * np.arange(len(ordered), 0, -1)))
    assert np.sort(frame.holm_p.to_numpy()) == pytest.approx(stepped)
    assert ((frame.holm_p < 0.05) == ~frame.words.str.contains("no evidence")).all()


def test_over_patients_it_is_delongs_test_of_the_shared_seeds(tmp_path, build, predictions_of):
    run = read_run(build(tmp_path / "r", classifiers=("resnet50",), showcase=False))
    found = {(c.first, c.second): c for c in compare(run)}["gda", "raw"].result
    arms = [[predictions_of(arm, "resnet50", seed) for seed in range(3)] for arm in ("gda", "raw")]
    expected = delong_test(*arms)
    assert (found.p_patients, found.patients.low) == pytest.approx((expected.p, expected.low))


def test_controls_are_a_family_of_their_own(tmp_path, build):
    arms = ("raw", "gda", "frerec", "shr", "rhm", "gda_radial", "ceiling")
    run = read_run(build(tmp_path / "r", classifiers=("resnet50",), arms=arms, showcase=False))
    found = compare(run)
    for family, pairs in (("primary", PAIRS), ("controls", CONTROLS)):
        members = [c for c in found if c.family == family]
        expected = [pair for pair in pairs if set(pair) <= set(arms)]
        assert [(c.first, c.second) for c in members] == expected
        assert [c.holm_p for c in members] == holm([c.result.p for c in members])
        assert [c.question for c in members] == [pairs[pair] for pair in expected]
    table = comparison_table(run)
    marked = [row.cells[0] for row in table.rows if row.cells[7].endswith("‡")]
    assert marked == [f"{a} − {b}" for a, b in CONTROLS if {a, b} <= set(arms)]
    assert "over the 3 tests of the primary family" in table.notes[0]
    assert "corrected over its 4 tests" in table.notes[1]


def test_arms_that_were_not_tested_on_the_same_images_are_refused(tmp_path, build):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "gda"), showcase=False)
    file = path / "cells" / "gda-resnet50-1" / "predictions.parquet"
    made = read_predictions(file)
    made["test"].images[[3, 4]] = made["test"].images[[4, 3]]
    write_predictions(file, made)
    with pytest.raises(DataError, match=r"resnet50, gda against raw: .* images differ") as caught:
        compare(read_run(path))
    assert "\n" not in str(caught.value)


def test_only_what_is_claimed_is_bold(tmp_path, build, monkeypatch):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "gda"), seeds=(0,))
    run = read_run(path)
    (block,) = groups(run)
    assert claimed_best(run, block) is None  # raw is higher, but one seed tests nothing
    assert not any(row.strong for row in main_table(run).rows)
    five = build(tmp_path / "five", classifiers=("resnet50",), arms=("raw", "gda"),
                 seeds=tuple(range(5)), showcase=False)  # fmt: skip
    run = read_run(five)
    (block,) = groups(run)
    assert comparison_table(run).frame.words.tolist() == ["gda is lower than raw"]
    assert claimed_best(run, block) == "raw"
    strong = {row.cells[0]: row.strong for row in main_table(run).rows}
    assert strong == {"raw": (2,), "gda": ()}
    assert "| **0." in main_table(run).markdown()


def test_one_seed_is_compared_without_a_test(tmp_path, build):
    run = read_run(build(tmp_path / "r", arms=("raw", "gda"), seeds=(0,), showcase=False))
    table = comparison_table(run)
    assert {row.cells[-1] for row in table.rows} == {"one seed only: no interval and no test"}
    assert table.notes == ("Nothing could be tested: a paired test needs two seeds or more.",)
    assert not any(c.claimed for c in compare(run))


def test_a_run_without_a_result_has_a_header_and_no_row(tmp_path, build):
    states = {(arm, "resnet50", 0): "pending" for arm in ("raw", "gda")}
    run = read_run(build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "gda"),
                         seeds=(0,), states=states, showcase=False))  # fmt: skip
    frame = comparison_table(run).frame
    assert len(frame) == 0
    assert {"difference", "p_patients", "holm_p", "words"} <= set(frame.columns)


def test_only_arms_that_exist_are_compared(tmp_path, build):
    run = read_run(build(tmp_path / "r", arms=("raw", "gda", "histogram"), showcase=False))
    assert {(c.first, c.second) for c in compare(run)} == {("gda", "raw")}


def test_raw_without_a_generator_is_the_baseline_of_every_generator(tmp_path, build):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "raw_frerec", "gda"),
                 showcase=False)  # fmt: skip

    def two_generators(plan):
        for cell in plan["cells"]:
            arm, seed = cell["axes"]["arm"], cell["axes"]["seed"]
            cell["axes"]["generator"] = None if arm != "gda" else ("vae" if seed else "ddpm")

    edit(path / "benchmark.json", two_generators)
    run = read_run(path)
    assert [g.title for g in groups(run)] == ["ddpm, resnet50", "vae, resnet50"]
    counted = [(c.group.generator, c.first, c.difference.seeds) for c in compare(run)]
    assert counted == [
        ("ddpm", "gda", (0,)), ("ddpm", "raw_frerec", (0, 1, 2)), ("vae", "gda", (1, 2)),
    ]  # fmt: skip


def test_a_further_axis_keeps_its_values_apart_and_counts_a_shared_cell_once(tmp_path, build):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "gda", "frerec"),
                 showcase=False)  # fmt: skip

    def two_ratios(plan):
        cells = plan["cells"]
        for cell in cells:
            cell["axes"]["calibrator.ratio"] = 0.5
        other = [json.loads(json.dumps(c)) for c in cells if c["axes"]["arm"] != "frerec"]
        for cell in other:
            cell["axes"]["calibrator.ratio"] = 0.3
        plan["cells"] = cells + other

    edit(path / "benchmark.json", two_ratios)
    run = read_run(path)
    assert (run.count(), len(run.cells)) == (9, 15)
    main = main_table(run)
    assert [r.group for r in main.rows] == ["resnet50, calibrator.ratio 0.5"] * 3 + [
        "resnet50, calibrator.ratio 0.3"
    ] * 2
    assert set(main.frame["calibrator.ratio"]) == {"0.5", "0.3"}
    assert [(c.first, c.second) for c in compare(run)] == [
        ("gda", "raw"), ("frerec", "gda"), ("frerec", "raw"),
    ]  # fmt: skip
    assert set(results_frame(run)["calibrator.ratio"]) == {"0.5", "0.3"}
