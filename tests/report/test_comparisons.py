"""Arms are compared on the same images and seeds, in two families, and words follow the tests."""

import json
import shutil
from dataclasses import replace

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


def swap_images(folder):
    made = read_predictions(folder / "predictions.parquet")
    made["test"].images[[3, 4]] = made["test"].images[[4, 3]]
    write_predictions(folder / "predictions.parquet", made)


def test_arms_that_were_not_tested_on_the_same_images_are_refused(tmp_path, build):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw", "gda"), showcase=False)
    for seed in range(3):
        swap_images(path / "cells" / f"gda-resnet50-{seed}")
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
    words = {row.cells[-1] for row in table.rows}
    assert words == {"one seed only: tested over patients, not over seeds"}
    assert "no difference is claimed" in table.notes[0]
    assert table.frame.p_patients.notna().all()  # what the words say
    assert not any(c.claimed for c in compare(run))
    assert "could be tested" in main_table(run).notes[-1]


def test_the_effect_size_stands_with_its_interval(kept_run):
    table = comparison_table(read_run(kept_run))
    for row, (_, record) in zip(table.rows, table.frame.iterrows(), strict=True):
        texts = [f"{v:.2f}".replace("-", "−") for v in
                 (record.effect, record.effect_low, record.effect_high)]  # fmt: skip
        assert row.cells[3] == f"{texts[0]} [{texts[1]}, {texts[2]}]"
        assert record.effect_low < record.effect < record.effect_high


def with_ratios(path, build, ratios, **options):
    """Cells of frerec for each ratio; the other arms have the same ones for all."""
    build(path, classifiers=("resnet50",), showcase=False, **options)

    def widen(plan):
        cells = []
        for ratio in ratios:
            for cell in plan["cells"]:
                axes = cell["axes"] | {"calibrator.ratio": ratio}
                name = cell["id"]
                if axes["arm"] == "frerec" and ratio != ratios[0]:
                    name += f"-{ratio}"
                    shutil.copytree(path / "cells" / cell["id"], path / "cells" / name)
                cells.append({"id": name, "axes": axes})
        plan["cells"] = cells

    edit(path / "benchmark.json", widen)
    return path


def worse(folder, gain):
    """The cell's probabilities, with another share of what is known of the classes."""
    made = read_predictions(folder / "predictions.parquet")
    test = made["test"]
    logits = np.log(test.probabilities) + gain * np.eye(2)[test.labels]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    write_predictions(
        folder / "predictions.parquet", made | {"test": replace(test, probabilities=p)}
    )


def test_other_settings_than_the_default_are_a_family_of_their_own(tmp_path, build):
    # The paper's r is the default, though it is not the first of the plan.
    run = read_run(with_ratios(tmp_path / "r", build, [0.3, 0.5, 0.7]))
    found = compare(run)
    by_family = {
        family: [c for c in found if c.corrected_with == family] for family in ("primary", "axes")
    }
    assert {c.group.extra[0][1] for c in by_family["primary"]} == {"0.5"}
    assert len(by_family["primary"]) == len(PAIRS)  # with those that no ratio changes
    assert [(c.group.extra[0][1], c.first, c.second) for c in by_family["axes"]] == [
        (ratio, "frerec", second) for ratio in ("0.3", "0.7")
        for second in ("gda", "raw", "raw_frerec")
    ]  # fmt: skip
    for members in by_family.values():
        assert [c.holm_p for c in members] == holm([c.result.p for c in members])
    table = comparison_table(run)
    assert "over the 5 tests of the primary family" in table.notes[0]
    assert any("corrected over its 6 tests" in note for note in table.notes)
    assert sum(row.cells[7].endswith("§") for row in table.rows) == 6
    assert table.frame.corrected_with.tolist() == ["primary"] * 5 + ["axes"] * 6


@pytest.mark.parametrize("clear", [True, False])
def test_what_blocks_share_counts_in_each_of_them(tmp_path, build, clear):
    # raw is the highest at r = 0.3, where only frerec is compared anew; gda - raw is listed at 0.5.
    path = with_ratios(tmp_path / "r", build, [0.5, 0.3], arms=("raw", "gda", "frerec"),
                       seeds=tuple(range(5)))  # fmt: skip
    for seed in range(5):
        worse(path / "cells" / f"gda-resnet50-{seed}", -0.4 if clear else 0.14)
        worse(path / "cells" / f"frerec-resnet50-{seed}-0.3", -1.1)
    run = read_run(path)
    blocks = {block.extra[0][1]: block for block in groups(run)}
    claims = {(c.group.extra[0][1], c.first, c.second): c.claimed for c in compare(run)}
    assert claims["0.3", "frerec", "raw"]
    assert claims["0.5", "gda", "raw"] is clear
    assert ("0.3", "gda", "raw") not in claims
    assert claimed_best(run, blocks["0.3"]) == ("raw" if clear else None)
    assert claimed_best(run, blocks["0.5"]) == "frerec"


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
