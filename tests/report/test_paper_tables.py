"""The paper's four tables: our numbers, the paper's beside them, and honest differences."""

import json

import numpy as np
import pandas as pd
import pytest

from frerec.calibration import shr
from frerec.report import sensitivity_table as sensitivity
from frerec.report.ablation_table import ablation_table
from frerec.report.inference_table import inference_table
from frerec.report.main_tables import overview_table
from frerec.report.run import read_run
from frerec.report.sensitivity_table import sensitivity_table

RATIO, NEIGHBOURS = "calibrator.shr.ratio", "calibrator.shr.neighbours"


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def row_of(frame, **axes):
    for name, value in axes.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory, build):
    arms = ("raw", "gda", "shr", "rhm_no_fesa", "rhm", "frerec")
    return read_run(build(tmp_path_factory.mktemp("paper") / "run", arms=arms, seeds=(0, 1)))


def test_overview_has_a_row_an_arm_and_a_column_a_classifier(run, made_auc):
    table = overview_table(run)
    assert table.columns == (
        "Arm", "resnet50", "Paper's ResNet50", "Ours − paper's", "resnet10t",
        "Paper's DenseNet", "Paper's ViT-B/16",
    )  # fmt: skip
    texts = {row.cells[0]: row.cells[1:] for row in table.rows}
    ours = np.mean([made_auc("gda", "resnet50", seed) for seed in (0, 1)])
    assert texts["gda"][0].startswith(f"{ours:.3f} [")
    assert texts["gda"][1:3] == ("0.834", f"{ours - 0.834:.3f}".replace("-", "−"))
    assert texts["gda"][4:] == ("0.871", "0.848")
    assert texts["shr"][1:3] == ("–", "–")
    assert {row.group for row in table.rows} == {"chest_xray"}
    record = row_of(table.frame, arm="gda", classifier="resnet50")
    assert record.difference_to_paper == pytest.approx(ours - 0.834)
    assert pd.isna(row_of(table.frame, arm="gda", classifier="resnet10t").difference_to_paper)


def test_overview_of_data_that_the_paper_lacks_is_ours_alone(tmp_path, build):
    run = read_run(build(tmp_path / "r", published=None, seeds=(0,), showcase=False))
    assert overview_table(run).columns == ("Arm", "resnet50", "resnet10t")


def test_ablation_is_ours_minus_the_papers_in_all_four_measures(run, made_auc):
    table = ablation_table(run)
    assert [row.cells[0] for row in table.rows if row.group == "resnet50"] == [
        "SHR only", "RHM without FESA", "RHM with FESA", "full FreRec",
    ]  # fmt: skip
    shr = row_of(table.frame, arm="shr", classifier="resnet50")
    auc = np.mean([made_auc("shr", "resnet50", seed) for seed in (0, 1)])
    cells = [c for c in run.cells if (c.arm, c.classifier) == ("shr", "resnet50")]
    accuracy = np.mean([
        (c.predictions["test"].probabilities.argmax(1) == c.predictions["test"].labels).mean()
        for c in cells
    ])  # fmt: skip
    assert (shr.auc, shr.accuracy, shr.psnr, shr.ssim) == pytest.approx((auc, accuracy, 25.4, 0.81))
    assert (
        shr.difference_auc, shr.difference_accuracy, shr.difference_psnr, shr.difference_ssim,
    ) == pytest.approx((auc - 0.81, accuracy - 0.79, 25.4 - 25.10, 0.81 - 0.76))  # fmt: skip
    text = next(row.cells for row in table.rows if row.cells[0] == "SHR only")
    assert text[8:] == ("25.40", "25.10", "+0.30", "0.810", "0.76", "+0.05")
    not_measured = row_of(table.frame, arm="rhm", classifier="resnet50")
    assert pd.isna(not_measured.psnr)
    assert pd.isna(not_measured.difference_psnr)


def test_ablation_on_other_data_forms_no_difference(tmp_path, build):
    path = build(tmp_path / "r", arms=("shr", "frerec"), classifiers=("resnet50",), seeds=(0,),
                 published="brain_tumor")  # fmt: skip
    table = ablation_table(read_run(path))
    assert table.frame.filter(like="difference_").isna().all(axis=None)
    assert set(table.frame.paper_auc) == {0.81, 0.89}
    assert any("no difference is formed" in note for note in table.notes)


def test_without_a_part_by_itself_there_is_no_ablation(kept_run):
    assert ablation_table(read_run(kept_run)).rows == ()


def test_times_of_another_device_are_not_subtracted(run):
    table = inference_table(run)
    assert [row.cells[0] for row in table.rows] == ["shr", "frerec", "radial", "FreRec", "DoGE"]
    full = row_of(table.frame, method="frerec")
    assert (full.ms_per_image, full.paper_ms_low, full.paper_ms_high) == (61.5, 15, 18)
    assert full.device == "an x86_64 processor"
    assert table.frame[["difference_low", "difference_high"]].isna().all(axis=None)
    texts = {row.cells[0]: row.cells for row in table.rows}
    assert texts["frerec"][4] == "32 × 32 × 1"
    assert texts["frerec"][-4:] == ("16", "61.5 [55.4, 73.8]", "15 to 18", "–")
    assert texts["shr"][-2:] == ("–", "–")
    assert texts["DoGE"][3] == "RTX 4090"
    assert (texts["FreRec"][-2], texts["DoGE"][-2]) == ("15 to 18", "≈ 33")
    assert [table.columns[i] for i in table.wordy] == [
        "Method", "Stages", "Network", "Device", "Precision",
    ]  # fmt: skip
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}


@pytest.mark.parametrize(
    ("device", "same"),
    [
        ("NVIDIA GeForce RTX 4090", True),
        ("RTX 4090", True),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", False),
        ("NVIDIA GeForce RTX 4090 D", False),
        ("NVIDIA GeForce RTX 4090D", False),
        ("NVIDIA RTX 4000 Ada", False),
    ],
)
def test_times_of_the_papers_device_are(run_dir, device, same):
    def on_it(notes):
        for entry in notes["inference"]:
            entry.update(device=device, ms_per_image=16.5)

    edit(run_dir / "showcase" / "showcase.json", on_it)
    frame = inference_table(read_run(run_dir)).frame
    full = row_of(frame, method="frerec")
    gap = [full.difference_low, full.difference_high]
    assert gap == pytest.approx([-1.5, 1.5] if same else [np.nan] * 2, nan_ok=True)
    assert pd.isna(row_of(frame, method="shr").difference_low)  # not the paper's method


def with_axes(path, build, values, **options):
    """A run with a cell of `frerec` for each (r, K), and `raw`, which has no part in them."""
    build(path, arms=("raw", "frerec"), classifiers=("resnet50",), seeds=(0, 1), **options)

    def widen(plan):
        cells = []
        for number, axes in enumerate(values):
            for cell in plan["cells"]:
                arm = cell["axes"]["arm"]
                name = cell["id"] if arm == "raw" or number == 0 else f"{cell['id']}-{number}"
                cells.append({"id": name, "axes": cell["axes"] | axes})
                source = path / "cells" / cell["id"]
                if not (path / "cells" / name).exists():
                    (path / "cells" / name).symlink_to(source, target_is_directory=True)
        plan["cells"] = cells

    edit(path / "benchmark.json", widen)
    return path


def test_sensitivity_has_a_row_a_value_with_the_papers_marked(tmp_path, build):
    values = [{RATIO: r, NEIGHBOURS: k} for r in (0.5, 0.3) for k in (200, 20)]
    path = with_axes(tmp_path / "r", build, values)

    def measured(notes):
        entry = notes["arm_fidelity"][1]
        notes["arm_fidelity"] = [
            entry | {"extra": {RATIO: "0.3", NEIGHBOURS: "20"}, "psnr": 30.5, "ssim": 0.9},
            entry | {"extra": {RATIO: "0.5", NEIGHBOURS: "200"}, "psnr": 35.5, "ssim": 0.95},
        ]

    edit(path / "showcase" / "showcase.json", measured)
    table = sensitivity_table(read_run(path))
    assert [(row.cells[0], row.cells[1], row.cells[-1]) for row in table.rows] == [
        ("0.3", "20", "–"), ("0.3", "200", "the paper's K"),
        ("0.5", "20", "the paper's r"), ("0.5", "200", "the paper's"),
    ]  # fmt: skip
    assert set(table.frame.arm) == {"frerec"}  # the raw cells are the same for all
    assert table.frame.papers_setting.tolist() == [False, False, False, True]
    assert table.frame.psnr.tolist() == pytest.approx([30.5, np.nan, np.nan, 35.5], nan_ok=True)
    assert "not known to us" in table.caption


def test_a_setting_that_is_no_axis_is_read_from_the_cells_configuration(tmp_path, build):
    path = with_axes(tmp_path / "r", build, [{RATIO: 0.5}, {RATIO: 0.3}], showcase=False)
    for folder in (path / "cells").glob("frerec*"):
        (folder / "config.yaml").write_text("calibrator: {shr: {ratio: 0.5, neighbours: 40}}\n")
    frame = sensitivity_table(read_run(path)).frame
    assert list(zip(frame.ratio, frame.neighbours, strict=True)) == [(0.3, 40), (0.5, 40)]


@pytest.mark.parametrize(
    ("recorded", "used", "setting"),
    [
        (300, "200 (60 used)", "the paper's r"),
        (1004, "200", "the paper's"),
        (None, "200", "the paper's"),
    ],
)
def test_k_is_said_as_it_was_used(tmp_path, build, recorded, used, setting):
    path = with_axes(tmp_path / "r", build, [{RATIO: 0.5, NEIGHBOURS: k} for k in (200, 20)],
                     showcase=False)  # fmt: skip
    for seed in (0, 1):
        file = path / "cells" / f"frerec-resnet50-{seed}" / "metrics.json"
        edit(file, lambda c: c["training"].update(train_real=recorded))
    table = sensitivity_table(read_run(path))  # the plan has 1200 training images
    texts = {row.cells[1]: row.cells[-1] for row in table.rows}
    assert texts == {"20": "the paper's r", used: setting}
    asked = row_of(table.frame, neighbours=200)
    assert asked.neighbours_used == (60 if recorded == 300 else 200)
    assert asked.papers_setting == (recorded != 300)


def test_the_bound_of_k_is_shrs():
    assert sensitivity.POOL_PER_NEIGHBOUR == shr.POOL_PER_NEIGHBOUR


def test_without_such_an_axis_there_is_no_sensitivity(kept_run):
    assert sensitivity_table(read_run(kept_run)).rows == ()
