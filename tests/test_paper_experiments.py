"""The experiments that reproduce the paper's tables, at both scales, and `make reproduce`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from frerec.benchmark.plan import expand
from frerec.config import compose_config, instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.report.blocks import ARMS
from frerec.report.published import ABLATION, DATASETS, counterpart

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
CONTROLS = {
    "raw_frerec", "frerec_synthetic_only", "shr", "rhm", "rhm_no_fesa", "gda_radial",
    "gda_lowpass", "ceiling",
}  # fmt: skip
needs_make = pytest.mark.skipif(not (ROOT / "Makefile").is_file(), reason="outside the checkout")


def composed(name: str, *more: str) -> DictConfig:
    return compose_config("benchmark", [f"experiment=paper/{name}", "data.root=DIR", *more])


@pytest.mark.parametrize("name", list(DATASETS))
def test_both_scales_ask_the_same_of_the_same_data(name: str) -> None:
    gpu, cpu = composed(name), composed(f"cpu/{name}")
    assert gpu.published == cpu.published == name
    assert gpu.grid.arm == cpu.grid.arm
    sizes = [{k: v for k, v in plain(config.data).items() if k != "image_size"} for config in
             (gpu, cpu)]  # fmt: skip
    assert sizes[0] == sizes[1]
    assert gpu.name != cpu.name  # one run directory each


@pytest.mark.parametrize("name", list(DATASETS))
def test_the_gpu_scale_is_the_papers(name: str) -> None:
    config = composed(name)
    assert {counterpart(c) for c in config.grid.classifier} == {"DenseNet", "ResNet50", "ViT-B/16"}
    assert list(config.grid.generator) == ["fastgan_base", "ddpm_base"]
    assert (config.calibrator.rhm.network, config.data.image_size) == ("base", 128)
    assert len(config.grid.seed) == 5
    assert {None, 100, 500} == set(config.grid["data.train_size"])


def test_the_ablation_has_every_arm_and_stays_in_the_run_of_the_main_table() -> None:
    main = composed("cpu/cardiomegaly")
    ablation = composed("cpu/cardiomegaly", "table=ablation")
    arms = set(ablation.grid.arm)
    assert CONTROLS | {"raw", "gda", "frerec"} | set(ABLATION) <= arms <= set(ARMS)
    parts = ("name", "data", "samples", "generator", "calibrator", "classifier")
    assert [main[part] for part in parts] == [ablation[part] for part in parts]


def test_the_dose_response_has_the_oracle_and_a_run_of_its_own() -> None:
    main, dose = (composed("cpu/cardiomegaly", f"table={table}") for table in ("main", "dose"))
    assert dose.generator.name == "oracle"
    assert (min(dose.grid["generator.dose"]), max(dose.grid["generator.dose"])) == (0, 1)
    assert dose.name != main.name
    assert len(dose.grid.seed) >= 3
    for scale in ("", "cpu/"):
        assert list(composed(f"{scale}retinopathy", "table=dose").grid.generator) == ["oracle"]


def test_the_sensitivity_varies_r_and_k_around_the_papers() -> None:
    grid = composed("cpu/cardiomegaly", "table=sensitivity").grid
    assert 0.5 in grid["calibrator.shr.ratio"]
    assert 200 in grid["calibrator.shr.neighbours"]
    assert len(grid["calibrator.shr.ratio"]) * len(grid["calibrator.shr.neighbours"]) > 4


def test_null_of_an_axis_is_the_full_training_set() -> None:
    overrides = ["experiment=paper/cpu/retinopathy", "data.root=DIR", "arm=raw", "seed=0"]
    sizes = [cell.config.data.train_size for cell in expand("benchmark", overrides)[1]]
    given = expand("benchmark", [*overrides, "data.train_size=null"])[1]
    assert sizes == [100, None]
    assert [cell.config.data.train_size for cell in given] == [None]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("cardiomegaly", "chest_xray"), ("brain_tumor", "brain_tumor"), ("retinopathy", "fundus")],
)
def test_an_experiment_reads_its_real_set(name: str, folder: str, tmp_path: Path) -> None:
    """No patient is in two splits (checked by the load), and the small sets leave a ceiling."""
    if not (DATA / folder / "labels.csv").is_file():
        pytest.skip("the real sets are not here")
    more = [f"data.root={DATA / folder}", "data.image_size=16", f"paths.store={tmp_path}"]
    config = composed(f"cpu/{name}", *more, "data.train_size=100")
    data: ImageDataModule = instantiate(OmegaConf.create(plain(config.data)))
    data.prepare_data()
    data.setup()
    counts = data.manifest.counts()
    assert counts["train"].tolist() == [100, 100]
    assert all(counts["test"] > 150)
    assert np.bincount(data.withheld.labels).min() >= 100


def make(folder: Path, *arguments: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run `make reproduce` with a program that writes its arguments in the place of frerec."""
    folder.mkdir(exist_ok=True)
    words = f"""printf '%s\\t' "$@" >> "{folder}/called"; echo >> "{folder}/called\""""
    (folder / "frerec").write_text(f"#!/bin/sh\n{words}\nexit {exit_code}\n")
    (folder / "frerec").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    command = ["make", "-o", ".venv/.installed", "reproduce", f"BIN={folder}", "DATA=D"]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def called(folder: Path) -> list[list[str]]:
    lines = (folder / "called").read_text().splitlines()
    return [line.removesuffix("\t").split("\t") for line in lines]


@needs_make
def test_make_reproduce_runs_each_set_and_reports_them_together(tmp_path: Path) -> None:
    assert make(tmp_path, "TABLE=main", "SCALE=gpu").returncode == 0
    *ran, report = called(tmp_path)
    for name, (verb, *overrides) in zip(DATASETS, ran, strict=True):
        assert verb == "benchmark"
        assert f"experiment=paper/{name}" in overrides
        given = compose_config("benchmark", overrides)
        assert (given.name, given.data.name) == (composed(name).name, name)
        assert str(given.data.root).startswith("D/")
    verb, *folders, output = report
    assert verb == "report"
    assert folders == [f"runs/{composed(name).name}" for name in DATASETS]
    assert output == "output=runs/paper_gpu_main"
    compose_config("report", [f"run={folders[0]}", output])  # it has such a key


@needs_make
@pytest.mark.parametrize("table", ["ablation", "sensitivity", "dose"])
def test_other_tables_are_of_the_papers_set_and_do_not_overwrite_the_main_run(
    table: str, tmp_path: Path
) -> None:
    assert make(tmp_path, f"TABLE={table}", "SCALE=cpu").returncode == 0
    ((verb, *overrides),) = called(tmp_path)
    given = compose_config("benchmark", overrides)
    main = composed("cpu/cardiomegaly", "data.root=D/chest_xray")
    assert verb == "benchmark"
    settings = [[c[part] for part in ("data", "samples", "generator", "calibrator")]
                for c in (given, main)]  # fmt: skip
    if settings[0] != settings[1] or table == "sensitivity":
        assert given.name != main.name
    else:
        assert given.name == main.name  # it shares the cells of the main table


@needs_make
def test_make_reproduce_goes_on_after_a_failed_cell_and_says_so_at_the_end(tmp_path: Path) -> None:
    assert make(tmp_path, "TABLE=main", "SCALE=cpu", exit_code=1).returncode != 0
    assert [verb for verb, *_ in called(tmp_path)] == ["benchmark"] * 3 + ["report"]


@needs_make
@pytest.mark.parametrize(
    "wrong",
    ["TABLE=figure", "TABLE=foo main", "SCALE=tpu", "SCALE=cpu gpu", "SETS=heart",
     "SETS=cardiomegaly cardiomegaly"],
)  # fmt: skip
def test_make_reproduce_names_what_it_expected(wrong: str, tmp_path: Path) -> None:
    found = make(tmp_path, wrong)
    assert found.returncode == 2
    assert f"{wrong}: expected" in found.stderr
    assert not (tmp_path / "called").exists()


@needs_make
def test_folders_and_overrides_may_have_blanks_and_quotes(tmp_path: Path) -> None:
    more = "MORE='data.label_map={a: b}' \"name=o'brien\" seed=0,1"
    assert make(tmp_path, "SETS=retinopathy", "DATA=/my data/o'brien", more).returncode == 0
    ((_, *overrides),) = called(tmp_path)
    assert "data.root=/my data/o'brien/fundus" in overrides
    assert overrides[-3:] == ["data.label_map={a: b}", "name=o'brien", "seed=0,1"]


@needs_make
def test_a_set_may_be_read_in_another_layout(tmp_path: Path) -> None:
    root = "root_of_cardiomegaly=data=kaggle_cardiomegaly 'data.root=/a b'"
    assert make(tmp_path, "SETS=cardiomegaly", root).returncode == 0
    ((_, *overrides),) = called(tmp_path)
    assert {"data=kaggle_cardiomegaly", "data.root=/a b"} < set(overrides)
    assert not any("D/" in override for override in overrides)


@needs_make
def test_the_dose_is_given_where_so_many_images_can_be_withheld(tmp_path: Path) -> None:
    """Of 543 images a class, 500 in use would leave 43 to be damaged."""
    assert make(tmp_path, "TABLE=dose", "SETS=cardiomegaly retinopathy").returncode == 0
    sizes = [
        {cell.config.data.train_size for cell in expand("benchmark", overrides)[1]}
        for verb, *overrides in called(tmp_path)
        if verb == "benchmark"
    ]
    assert sizes == [{500}, {200}]


@pytest.mark.parametrize("scale", ["cpu", "gpu"])
@pytest.mark.parametrize("name", list(DATASETS))
@needs_make
def test_runs_are_shared_only_where_the_first_settings_are_the_same(
    name: str, scale: str, tmp_path: Path
) -> None:
    """Which comparisons are the main ones must not depend on what was called first."""
    for table in ("main", "ablation", "sensitivity", "dose"):
        make(tmp_path / table, f"TABLE={table}", f"SCALE={scale}", f"SETS={name}")
    runs: dict[str, set[str]] = {}
    for table in ("main", "ablation", "sensitivity", "dose"):
        ((_, *overrides),) = called(tmp_path / table)
        config = compose_config(
            "benchmark", [o for o in overrides if not o.startswith("data.train_size")]
        )
        first = {key: values[0] for key, values in plain(config.grid).items()}
        given = {o.partition("=")[0]: o.partition("=")[2] for o in overrides}
        runs.setdefault(given["name"], set()).add(str(first["data.train_size"]))
    assert all(len(sizes) == 1 for sizes in runs.values())
    shared = (scale, name) == ("cpu", "cardiomegaly")
    assert len(runs) == (3 if shared else 4)
