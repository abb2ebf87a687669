"""The tables' numbers are NumPy's and SciPy's, and their words follow them."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss

from frerec.evaluation.delong import delong_interval
from frerec.report.context_tables import (
    counts_table,
    fidelity_table,
    published_table,
    sample_table,
)
from frerec.report.main_tables import main_table
from frerec.report.quality_table import quality_table
from frerec.report.results import results_frame, unfinished_table
from frerec.report.run import read_run
from frerec.report.tabular import Row, Table, fixed, p_text, signed, thousands
from frerec.report.training_table import training_table


@pytest.fixture(scope="module")
def run(kept_run):
    return read_run(kept_run)


@pytest.fixture(scope="module")
def main(run):
    return main_table(run)


def row_of(frame, **axes):
    for name, value in axes.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_main_table_holds_mean_and_interval_over_the_seeds(main, made_auc, predictions_of):
    frame = main.frame
    assert len(frame) == 4 * 2
    for _, row in frame.iterrows():
        aucs = [made_auc(row.arm, row.classifier, seed) for seed in range(3)]
        low, high = stats.t.interval(0.95, 2, np.mean(aucs), stats.sem(aucs))
        assert (row.auc_mean, row.auc_low, row.auc_high) == pytest.approx(
            (np.mean(aucs), low, high)
        )
        made = [predictions_of(row.arm, row.classifier, seed) for seed in range(3)]
        brier = np.mean([brier_score_loss(m.labels, m.probabilities[:, 1]) for m in made])
        assert row.brier_mean == pytest.approx(brier)
        assert row.auc_both_low < row.auc_mean < row.auc_both_high
        patients = delong_interval(made)
        assert (row.auc_patients_low, row.auc_patients_high) == (patients.low, patients.high)


def test_main_table_text_rounds_what_the_csv_holds(main):
    record = main.frame.iloc[0]
    cells = main.rows[0].cells
    assert cells[0] == "raw"
    assert cells[1] == "3 of 3"
    assert cells[2] == f"{record.auc_mean:.3f} [{record.auc_low:.3f}, {record.auc_high:.3f}]"


def test_the_papers_number_stands_beside_the_same_classifier_with_the_difference(main):
    record = row_of(main.frame, arm="frerec", classifier="resnet50")
    assert record.paper_auc == 0.888
    assert record.difference_to_paper == pytest.approx(record.auc_mean - 0.888)
    text = next(r for r in main.rows if r.group == "resnet50" and r.cells[0] == "frerec").cells
    assert text[4] == "0.888 (ResNet50)"
    assert text[5] == "−" + f"{0.888 - record.auc_mean:.3f}"


def test_another_classifier_gets_a_marked_range_and_no_difference(main):
    record = row_of(main.frame, arm="gda", classifier="resnet10t")
    assert pd.isna(record.paper_auc)
    assert pd.isna(record.difference_to_paper)
    assert record.paper_vit_b16 == 0.848
    text = next(r for r in main.rows if r.group == "resnet10t" and r.cells[0] == "gda").cells
    assert text[4:6] == ("0.834 to 0.871 †", "–")
    assert any("The paper has no such classifier" in note for note in main.notes)


def test_a_data_set_that_the_paper_lacks_has_no_paper_columns(tmp_path, build):
    path = build(tmp_path / "r", published=None, seeds=(0,), showcase=False)
    run = read_run(path)
    main = main_table(run)
    assert not any("aper" in column for column in main.columns)
    assert main.frame.paper_auc.isna().all()
    assert published_table(run) is None


def test_rows_say_how_many_seeds_they_rest_on(tmp_path, build):
    states = {("gda", "resnet50", 0): "failed", ("gda", "resnet50", 2): "running"}
    states |= {("frerec", "resnet50", seed): "pending" for seed in range(3)}
    run = read_run(build(tmp_path / "r", classifiers=("resnet50",), states=states, showcase=False))
    text = {r.cells[0]: r.cells for r in main_table(run).rows if r.group == "resnet50"}
    assert text["gda"][1] == "1 of 3"
    assert text["gda"][2].endswith("[–]")
    assert text["frerec"][1:3] == ("0 of 3", "–")
    listed = unfinished_table(run)
    assert len(listed.rows) == 5
    assert "NaN or infinite" in listed.rows[0].cells[-1]


def test_unequal_optimiser_steps_are_a_warning(tmp_path, build):
    run = read_run(build(tmp_path / "r", steps={"gda": 3000}, seeds=(0,), showcase=False))
    training = training_table(run)
    assert training.notes == ()
    assert any("optimiser steps are not equal" in w and "gda 3\u202f000" in w
               for w in training.warnings)  # fmt: skip
    assert "**WARNING: resnet50: the optimiser steps" in training.markdown()


def test_equal_optimiser_steps_are_said_to_be_checked(run):
    training = training_table(run)
    assert training.warnings == ()
    assert "(checked)" in training.notes[0]
    assert set(training.frame.steps_min) == set(training.frame.steps_max) == {1500}


@pytest.mark.parametrize("key", ["steps", "images_seen"])
@pytest.mark.parametrize("seeds", [(1,), (0, 1, 2)])
def test_what_no_cell_recorded_is_not_said_to_be_checked(run_dir, key, seeds):
    for cell in (run_dir / "cells").iterdir():
        if int(cell.name[-1]) in seeds:
            edit(cell / "metrics.json", lambda c: c["training"].pop(key))
    training = training_table(read_run(run_dir))
    assert training.notes == ()
    (warning,) = training.warnings
    assert "not recorded by raw-resnet50-" in warning
    assert f"and {8 * len(seeds) - 3} more" in warning


def test_shr_fidelity_stands_beside_the_papers(run):
    frame = fidelity_table(run).frame
    shr = row_of(frame, comparison="real_shr")
    assert (shr.psnr, shr.ssim, shr.paper_psnr, shr.paper_ssim) == (26.31, 0.931, 25.10, 0.76)
    assert row_of(frame, comparison="real_frerec_val").paper_row == "full FreRec"


def test_sample_quality_keeps_gaps_and_names_the_features(run):
    rows = {r.cells[0]: r.cells for r in sample_table(run).rows}
    assert rows["synthetic"][4:] == ("0.1421 ± 0.0042", "ResNet-50 (ImageNet), global pool")
    assert rows["synthetic, after FreRec"][3:] == ("–", "–", "–")


def test_the_generators_quality_stands_beside_its_floor(run):
    quality = quality_table(run)
    assert {row.group for row in quality.rows} == {"vae, generator.beta 0.5"}
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


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [("fastgan data.train_size=100", "fastgan, train size 100"),
     ("fastgan data.train_size=None", "fastgan, train size all"),
     ("oracle generator.dose=0.5 data.train_size=20", "oracle, dose 0.5, train size 20"),
     ("a user's own samples", "a user's own samples")],
)  # fmt: skip
def test_sets_of_samples_are_named_as_the_rows_of_the_other_tables(run_dir, recorded, shown):
    file = run_dir / "showcase" / "showcase.json"
    notes = json.loads(file.read_text())
    notes["quality"][0]["samples"] = recorded
    file.write_text(json.dumps(notes))
    assert {row.group for row in quality_table(read_run(run_dir)).rows} == {shown}


def test_quality_may_be_missing_in_part_or_altogether(run_dir):
    file = run_dir / "showcase" / "showcase.json"
    notes = json.loads(file.read_text())
    notes["quality"][0]["quality"]["floor"] = None
    file.write_text(json.dumps(notes))
    assert len(quality_table(read_run(run_dir)).rows) == 2
    del notes["quality"]  # of a run from before
    file.write_text(json.dumps(notes))
    assert quality_table(read_run(run_dir)).rows == ()


def test_wall_time_and_peak_memory_stand_where_cells_recorded_them(run_dir):
    for seed, seconds in ((0, 61.4), (1, 75.0)):
        file = run_dir / "cells" / f"gda-resnet50-{seed}" / "environment.json"
        recorded = {"wall_seconds": seconds, "peak_memory_mib": 1024}
        commit = {"git_commit": "abcdef0123" * 4, "git_dirty": bool(seed)}
        file.write_text(json.dumps(recorded | commit))
    found = read_run(run_dir)
    training = training_table(found)
    assert training.columns[-3:] == ("Wall seconds a cell", "Peak memory, MiB", "Commit")
    assert training.wordy == (0, len(training.columns) - 1)
    cells = {(row.group, row.cells[0]): row.cells[-3:] for row in training.rows}
    commits = "abcdef0123, abcdef0123 + changes"
    assert cells["resnet50", "gda"] == ("61 to 75", "1\u202f024", commits)
    assert cells["resnet50", "raw"] == ("–", "–", "–")
    record = row_of(training.frame, arm="gda", classifier="resnet50")
    assert record.commits == ", ".join(["abcdef0123" * 4, "abcdef0123" * 4 + " + changes"])
    row = row_of(results_frame(found), id="gda-resnet50-1")
    assert (row.wall_seconds, row.peak_memory_mib) == (75.0, 1024)
    assert row.commit == "abcdef0123" * 4 + " + changes"


def test_cells_that_disagree_with_their_predictions_are_a_warning(run_dir):
    for seed in range(3):
        for arm in ("raw", "gda"):
            file = run_dir / "cells" / f"{arm}-resnet50-{seed}" / "metrics.json"
            edit(file, lambda c: c["test"].update(auc=0.999, f1=0.999))
    warnings = main_table(read_run(run_dir)).warnings
    assert len(warnings) == 6
    assert (
        "cell raw-resnet50-0 (raw, resnet50, seed 0): metrics.json says test auc 0.9990"
        in warnings[0]
    )
    assert "and 1 more; the tables follow the predictions" in warnings[0]
    assert warnings[5] == "1 more cell disagrees with its predictions."


def test_samples_left_out_as_memorised_are_counted_where_that_was_asked(run_dir):
    before = training_table(read_run(run_dir))
    assert "Left out as memorised" not in before.columns
    file = run_dir / "cells" / "gda-resnet50-1" / "metrics.json"
    metrics = json.loads(file.read_text())
    metrics["training"]["excluded_memorised"] = 7
    file.write_text(json.dumps(metrics))
    training = training_table(read_run(run_dir))
    assert training.columns[-1] == "Left out as memorised"
    cells = {(row.group, row.cells[0]): row.cells[-1] for row in training.rows}
    assert {key for key, value in cells.items() if value == "7"} == {("resnet50", "gda")}
    assert set(cells.values()) == {"7", "–"}
    assert results_frame(read_run(run_dir)).training_excluded_memorised.sum() == 7


def test_counts_are_summed_over_the_classes(run):
    rows = {r.cells[0]: r.cells[1:] for r in counts_table(run).rows}
    assert rows["test"] == ("300", "300", "600")
    assert rows["synthetic"][-1] == "1\u202f200"


def test_results_have_a_row_a_cell_with_or_without_a_result(tmp_path, build):
    states = {("gda", "resnet50", 0): "failed"}
    run = read_run(build(tmp_path / "r", classifiers=("resnet50",), states=states, showcase=False))
    frame = results_frame(run)
    assert len(frame) == len(run.cells)
    failed = row_of(frame, id="gda-resnet50-0")
    assert pd.isna(failed.test_auc)
    assert failed.error.startswith("DataError")
    assert frame.test_auc.notna().sum() == len(run.cells) - 1


def test_csv_reads_back_to_the_numbers(main, tmp_path):
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
