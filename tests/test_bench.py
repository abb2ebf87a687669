"""The benchmarks run, and their record is computed as it says; no speed is tested."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

PERFORMANCE = Path(__file__).parents[1] / "experiments" / "performance"
pytestmark = pytest.mark.skipif(
    not (PERFORMANCE / "bench").is_dir(), reason="the benchmarks are in the checkout only"
)


def script(name: str) -> ModuleType:
    """A script of experiments/performance as a module; the folder is no package."""
    spec = importlib.util.spec_from_file_location(f"performance_{name}", PERFORMANCE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    return script("calibration")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))  # it adds the benchmarks' folder
    return script("gpu")


def timed(group: str, name: str, fastest: float, **more: Any) -> dict[str, Any]:
    """A benchmark as pytest-benchmark writes it, of `per` 1 unless told."""
    extra = {"name": name, "per": 1, "unit": "ms a pair", "reference": None, "facts": {}, **more}
    return {
        "group": group,
        "name": f"test_{name}",
        "extra_info": extra,
        "stats": {"min": fastest, "median": 2 * fastest, "max": 9 * fastest, "rounds": 3},
    }


def raw(*benchmarks: dict[str, Any]) -> dict[str, Any]:
    machine = {"node": "a-hosts-name", "frerec": {"processor": "P", "cores": 2}}
    return {"benchmarks": list(benchmarks), "machine_info": machine, "datetime": "2001-01-01"}


SEARCH = "search: a pair of images"


def test_every_benchmark_runs_once_with_tiny_sizes() -> None:
    pytest.importorskip("pytest_benchmark", reason="needs frerec[bench]")
    options = ["-n", "0", "-q", "--benchmark-disable", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", str(PERFORMANCE / "bench"), *options],
        env={**os.environ, "FREREC_BENCH_SIZES": "tiny", "OMP_NUM_THREADS": "1"},
        cwd=PERFORMANCE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout.splitlines()[-1]


def test_the_benchmarks_are_no_part_of_the_tests() -> None:
    import tomllib

    settings = tomllib.loads((PERFORMANCE.parents[1] / "pyproject.toml").read_text())
    assert settings["tool"]["pytest"]["ini_options"]["testpaths"] == ["tests"]


def test_the_gpu_script_measures_every_part_on_a_cpu_with_tiny_sizes(
    gpu: ModuleType, tmp_path: Path
) -> None:
    tiny = "device=cpu side=32 batch=2 bank=20 neighbours=4 network=lite rounds=1 train_batch=1"
    out = tmp_path / "gpu.json"
    gpu.main(out, gpu.Settings.parse([*tiny.split(), "compile=false"]))
    result = json.loads(out.read_text())
    names = [item["name"] for item in result["records"]]
    assert not [item for item in result["records"] if "error" in item]
    assert {"search", "SHR with given neighbours"} <= set(names)
    assert sum(name.startswith("end to end, lite") for name in names) == 3
    assert sum(name.startswith("training step of 1") for name in names) == 3
    assert result["best_end_to_end"]["ms_an_image"] > 0
    assert all(item["dB_to_float32"] > 40 for item in result["records"] if "dB_to_float32" in item)


def test_a_figure_that_fails_or_comes_too_late_costs_no_other(
    gpu: ModuleType, tmp_path: Path
) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory\nmore")

    out = tmp_path / "gpu.json"
    run = gpu.Run(gpu.Settings.parse(["device=cpu", "rounds=1"]), out)
    run.measure("first", fail, images=1)
    run.measure("second", lambda: None, images=1)
    run.start -= run.settings.seconds
    run.measure("third", lambda: None, images=1)
    first, second = json.loads(out.read_text())["records"]
    assert first == {"name": "first", "error": "RuntimeError: out of memory"}
    assert "ms_an_image" in second
    assert run.result["left_out"] == ["third"]


def test_the_gpu_script_says_in_one_line_what_is_wrong(gpu: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="sidee=3: expected one of device, side, batch"):
        gpu.Settings.parse(["sidee=3"])
    with pytest.raises(SystemExit, match="compile=no: expected"):
        gpu.Settings.parse(["compile=no"])
    if not torch.cuda.is_available():
        with pytest.raises(SystemExit, match="device=cuda: no CUDA device here"):
            gpu.main(tmp_path / "gpu.json", gpu.Settings())


def test_a_value_is_the_fastest_round_by_unit_and_a_ratio_is_to_the_groups_reference(
    calibration: ModuleType,
) -> None:
    fast = timed(SEARCH, "fast", 2.0, per=40_000)
    brute = timed(SEARCH, "pytorch-msssim", 0.8, per=32, reference="fast")
    elsewhere = timed("another group", "fast", 77.0)
    records = calibration.record(raw(elsewhere, fast, brute))["records"]
    assert [r["value"] for r in records] == [77_000, 0.05, 25.0]
    assert [r.get("ratio") for r in records] == [None, None, 500.0]


def test_a_reference_that_was_not_run_gives_no_ratio(calibration: ModuleType) -> None:
    record = calibration.record(raw(timed(SEARCH, "exact", 1.0, reference="fast")))
    assert record["records"][0]["ratio"] is None
    assert record["targets"] == []


@pytest.mark.parametrize(("brute", "met"), [(10.0, True), (9.9, False)])
def test_targets_are_met_or_not(calibration: ModuleType, brute: float, met: bool) -> None:
    fast = timed(SEARCH, "fast", 0.1, facts={"recall": 0.979})
    record = calibration.record(raw(fast, timed(SEARCH, "pytorch-msssim", brute)))
    speed, recall = record["targets"]
    assert (speed["figure"], speed["met"]) == (brute * 10, met)
    assert (recall["figure"], recall["met"]) == (0.979, False)
    table = calibration.markdown(record)
    assert ("| **not met** |" in table.splitlines()[4]) is not met


@pytest.mark.parametrize(("power", "met"), [(1.0, True), (2.0, False)])
def test_growth_is_the_exponent_of_the_whole_time_in_the_banks_size(
    calibration: ModuleType, power: float, met: bool
) -> None:
    banks = [
        timed("growth", f"bank of {n}", 1e-3 * n**power, per=n, facts={"memory_MiB": 250.0})
        for n in (2000, 500, 1000)
    ]
    exponent, memory = calibration.record(raw(*banks))["targets"]
    assert exponent["figure"] == pytest.approx(power, abs=1e-3)
    assert exponent["met"] is met
    assert memory["figure"] == 1.0


def test_fesas_cost_is_the_ratio_to_the_same_network_without(calibration: ModuleType) -> None:
    plain = timed("RHM base: forward at 128 px", "plain", 1.0)
    with_fesa = timed("RHM base: forward at 128 px", "with FESA", 1.35, reference="plain")
    (target,) = calibration.record(raw(plain, with_fesa))["targets"]
    assert target["figure"] == 1.35
    assert not target["met"]


def test_the_record_names_the_machine_and_neither_host_nor_date(
    calibration: ModuleType, tmp_path: Path
) -> None:
    gpu = {
        "machine": {"gpu": "G"},
        "settings": {"batch": 32},
        "records": [{"name": "end to end, base", "ms_an_image": 4.5, "peak_MiB": 10}],
        "best_end_to_end": {"name": "end to end, base", "ms_an_image": 4.5},
    }
    paths = [tmp_path / name for name in ("raw.json", "out.json", "gpu.json")]
    paths[0].write_text(json.dumps(raw(timed(SEARCH, "fast", 1.0))))
    paths[2].write_text(json.dumps(gpu))
    calibration.main(*paths)
    record = json.loads(paths[1].read_text())
    assert record["machine"] == {"processor": "P", "cores": 2}
    assert record["targets"][-1] | {"what": ""} == {
        "what": "",
        "figure": 4.5,
        "target": 5,
        "met": True,
    }
    for text in (paths[1].read_text(), (tmp_path / "out.md").read_text()):
        assert "a-hosts-name" not in text
        assert "2001" not in text
        assert "4.5" in text
