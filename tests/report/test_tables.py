"""The tables' numbers are NumPy's and SciPy's, and their words follow them."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from frerec.report.comparisons import PAIRS, compare, groups
from frerec.report.context_tables import counts_table, published_table
from frerec.report.run import read_run
from frerec.report.tables import all_tables, main_table, results_frame
from frerec.report.tabular import Row, Table, fixed, p_text, signed, thousands
from frerec.report.training_table import training_table


def table(run, key):
    return next(t for t in all_tables(run) if t.key == key)


def row_of(frame, **axes):
    for name, value in axes.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_main_table_holds_mean_and_interval_over_the_seeds(run_dir, made_auc):
    frame = main_table(read_run(run_dir)).frame
    assert len(frame) == 4 * 2
    for _, row in frame.iterrows():
        aucs = [made_auc(row.arm, row.classifier, seed) for seed in range(3)]
        low, high = stats.t.interval(0.95, 2, np.mean(aucs), stats.sem(aucs))
        assert (row.auc_mean, row.auc_low, row.auc_high) == pytest.approx(
            (np.mean(aucs), low, high)
        )
        assert row.brier_mean == pytest.approx(0.9 - np.mean(aucs))


def test_main_table_text_rounds_what_the_csv_holds(run_dir):
    main = main_table(read_run(run_dir))
    record = main.frame.iloc[0]
    cells = main.rows[0].cells
    assert cells[0] == "raw"
    assert cells[1] == "3 of 3"
    assert cells[2] == f"{record.auc_mean:.3f} [{record.auc_low:.3f}, {record.auc_high:.3f}]"


def test_the_papers_number_stands_beside_the_same_classifier_with_the_difference(run_dir):
    main = main_table(read_run(run_dir))
    record = row_of(main.frame, arm="frerec", classifier="resnet50")
    assert record.paper_auc == 0.888
    assert record.difference_to_paper == pytest.approx(record.auc_mean - 0.888)
    text = next(r for r in main.rows if r.group == "resnet50" and r.cells[0] == "frerec").cells
    assert text[3] == "0.888 (ResNet50)"
    assert text[4] == "−" + f"{0.888 - record.auc_mean:.3f}"


def test_another_classifier_gets_a_marked_range_and_no_difference(run_dir):
    main = main_table(read_run(run_dir))
    record = row_of(main.frame, arm="gda", classifier="resnet10t")
    assert pd.isna(record.paper_auc)
    assert pd.isna(record.difference_to_paper)
    assert record.paper_vit_b16 == 0.848
    text = next(r for r in main.rows if r.group == "resnet10t" and r.cells[0] == "gda").cells
    assert text[3:5] == ("0.834 to 0.871 †", "–")
    assert any("The paper has no such classifier" in note for note in main.notes)


def test_a_data_set_that_the_paper_lacks_has_no_paper_columns(tmp_path, build):
    run = read_run(build(tmp_path / "r", published=None, showcase=False))
    main = main_table(run)
    assert not any("aper" in column for column in main.columns)
    assert main.frame.paper_auc.isna().all()
    assert published_table(run) is None


def test_rows_say_how_many_seeds_they_rest_on(tmp_path, build):
    states = {("gda", "resnet50", 0): "failed", ("gda", "resnet50", 2): "running"}
    states |= {("frerec", "resnet50", seed): "pending" for seed in range(3)}
    run = read_run(build(tmp_path / "r", states=states, showcase=False))
    text = {r.cells[0]: r.cells for r in main_table(run).rows if r.group == "resnet50"}
    assert text["gda"][1] == "1 of 3"
    assert text["gda"][2].endswith("[–]")
    assert text["frerec"][1:3] == ("0 of 3", "–")
    listed = table(run, "unfinished")
    assert len(listed.rows) == 5
    assert "NaN or infinite" in listed.rows[0].cells[-1]


def test_paired_comparisons_are_scipys_tests_on_common_seeds(tmp_path, build, made_auc):
    states = {("gda", "resnet50", 1): "failed"}
    run = read_run(build(tmp_path / "r", states=states, seeds=(0, 1, 2, 3), showcase=False))
    frame = table(run, "comparisons").frame
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
        assert (row.difference, row.low, row.high, row.p) == pytest.approx(
            ((a - b).mean(), interval.low, interval.high, expected.pvalue)
        )
    ordered = np.sort(frame.p.to_numpy())
    stepped = np.maximum.accumulate(np.minimum(1, ordered * np.arange(len(ordered), 0, -1)))
    assert np.sort(frame.holm_p.to_numpy()) == pytest.approx(stepped)
    assert ((frame.holm_p < 0.05) == ~frame.words.str.contains("no evidence")).all()


def test_only_arms_that_exist_are_compared(tmp_path, build):
    run = read_run(build(tmp_path / "r", arms=("raw", "gda", "shr"), showcase=False))
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


def test_unequal_optimiser_steps_are_a_warning(tmp_path, build):
    run = read_run(build(tmp_path / "r", steps={"gda": 3000}, showcase=False))
    training = training_table(run)
    assert training.notes == ()
    assert any("optimiser steps are not equal" in w and "gda 3\u202f000" in w
               for w in training.warnings)  # fmt: skip
    assert "**WARNING: resnet50: the optimiser steps" in training.markdown()


def test_equal_optimiser_steps_are_said_to_be_checked(run_dir):
    training = training_table(read_run(run_dir))
    assert training.warnings == ()
    assert "(checked)" in training.notes[0]
    assert set(training.frame.steps_min) == set(training.frame.steps_max) == {1500}


def test_shr_fidelity_stands_beside_the_papers(run_dir):
    frame = table(read_run(run_dir), "fidelity").frame
    shr = row_of(frame, comparison="real_shr")
    assert (shr.psnr, shr.ssim, shr.paper_psnr, shr.paper_ssim) == (26.31, 0.931, 25.10, 0.76)
    assert row_of(frame, comparison="real_frerec_val").paper_row == "full FreRec"


def test_sample_quality_keeps_gaps_and_names_the_features(run_dir):
    rows = {r.cells[0]: r.cells for r in table(read_run(run_dir), "samples").rows}
    assert rows["synthetic"][4:] == ("0.1421 ± 0.0042", "ResNet-50 (ImageNet), global pool")
    assert rows["synthetic, after FreRec"][3:] == ("–", "–", "–")


def test_the_generators_quality_stands_beside_its_floor(run_dir):
    quality = table(read_run(run_dir), "quality")
    assert {row.group for row in quality.rows} == {"vae generator.beta=0.5"}
    rows = {row.cells[0]: row.cells[1:] for row in quality.rows}
    assert list(rows) == ["samples", "samples against half", "real half against real half"]
    assert rows["samples"] == (
        "1\u202f200 / 1\u202f200", "81.24", "0.1421 ± 0.0042", "0.512", "0.250", "9.48", "13.20",
        "–",
    )  # fmt: skip
    assert rows["real half against real half"][:2] == ("600 / 600", "3.25")
    assert "timm resnet18, random weights" in quality.notes[0]
    assert any("unreliable; read KID" in note for note in quality.notes)
    floor = row_of(quality.frame, set="floor")
    assert (floor.fid, floor.kid, floor.n_real) == (3.25, 0.0007, 600)


def test_quality_may_be_missing_in_part_or_altogether(run_dir):
    file = run_dir / "showcase" / "showcase.json"
    notes = json.loads(file.read_text())
    notes["quality"][0]["quality"]["floor"] = None
    file.write_text(json.dumps(notes))
    assert len(table(read_run(run_dir), "quality").rows) == 2
    del notes["quality"]  # of a run from before
    file.write_text(json.dumps(notes))
    assert "quality" not in {t.key for t in all_tables(read_run(run_dir))}


def test_samples_left_out_as_memorised_are_counted_where_that_was_asked(run_dir):
    before = table(read_run(run_dir), "training")
    assert "Left out as memorised" not in before.columns
    file = run_dir / "cells" / "gda-resnet50-1" / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["training"]["excluded_memorised"] = 7
    file.write_text(json.dumps(metrics))
    training = table(read_run(run_dir), "training")
    assert training.columns[-1] == "Left out as memorised"
    cells = {(row.group, row.cells[0]): row.cells[-1] for row in training.rows}
    assert {key for key, value in cells.items() if value == "7"} == {("resnet50", "gda")}
    assert set(cells.values()) == {"7", "–"}
    assert results_frame(read_run(run_dir)).training_excluded_memorised.sum() == 7


def test_counts_are_summed_over_the_classes(run_dir):
    rows = {r.cells[0]: r.cells[1:] for r in counts_table(read_run(run_dir)).rows}
    assert rows["test"] == ("300", "300", "600")
    assert rows["synthetic"][-1] == "1\u202f200"


def test_results_have_a_row_a_cell_with_or_without_a_result(tmp_path, build):
    run = read_run(build(tmp_path / "r", states={("gda", "resnet50", 0): "failed"}))
    frame = results_frame(run)
    assert len(frame) == len(run.cells)
    failed = row_of(frame, id="gda-resnet50-0")
    assert pd.isna(failed.test_auc)
    assert failed.error.startswith("DataError")
    assert frame.test_auc.notna().sum() == len(run.cells) - 1


def test_csv_reads_back_to_the_numbers(run_dir, tmp_path):
    main = main_table(read_run(run_dir))
    main.write_csv(tmp_path)
    back = pd.read_csv(io.BytesIO((tmp_path / "table.csv").read_bytes()))
    assert back.auc_mean.to_numpy() == pytest.approx(main.frame.auc_mean.to_numpy(), abs=1e-9)
    assert b"\r" not in (tmp_path / "table.csv").read_bytes()


def test_markdown_rows_stay_whole_whatever_the_cells_hold():
    nasty = Table(
        key="t", title="T", caption="c", group_title="G", columns=("A", "B"),
        rows=(Row("a|b", ("<script>x</script>", "one\ntwo")), Row("g", ("*", "&"))),
        frame=pd.DataFrame(),
    )  # fmt: skip
    lines = [line for line in nasty.markdown().splitlines() if line.startswith("|")]
    assert lines[2] == "| a\\|b | &lt;script&gt;x&lt;/script&gt; | one two |"
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (fixed(-0.0004), "0.000"),
        (fixed(-0.1234), "−0.123"),
        (fixed(None), "–"),
        (signed(0.0104), "+0.010"),
        (signed(-0.0104), "−0.010"),
        (signed(0.0001), "0.000"),
        (p_text(0.0004), "< 0.001"),
        (p_text(0.0204), "0.020"),
        (p_text(0.234), "0.23"),
        (thousands(48000.0), "48\u202f000"),
    ],
)
def test_numbers_are_written_for_reading(text, expected):
    assert text == expected
