"""Every arm is a whole configuration, alone, in a grid and in an experiment; baselines run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig
from small_runs import SMALL, arguments

from frerec.benchmark.cell import make_cell
from frerec.benchmark.plan import PlannedCell, expand
from frerec.benchmark.planned_stages import with_stages
from frerec.benchmark.shown_distances import distances
from frerec.benchmark.shown_sets import collect_sets
from frerec.benchmark.stages import Stages
from frerec.calibration import Calibrator, FreRec, load_calibrator
from frerec.cli import main
from frerec.config import config_directory, instantiate
from frerec.data.stack import ImageStack
from frerec.spectral import log_spectral_distance

ARMS = sorted(path.stem for path in (config_directory() / "arm").glob("*.yaml"))
BASELINES = {
    "gda_amplitude_mix": "amplitude_mix",
    "gda_fda": "fda",
    "gda_fda_high": "fda",
    "gda_histogram": "histogram",
    "gda_lowpass": "lowpass",
    "gda_one_to_one": "one_to_one",
    "gda_radial": "radial",
}


@pytest.fixture(scope="module")
def configs() -> dict[str, DictConfig]:
    """The cell of every arm, in one grid, with what an experiment and ``debug=fast`` set."""
    more = ["experiment=demo", "baselines.fda.beta=0.09", "calibrator.shr.ratio=0.4"]
    _, planned = expand("benchmark", [*SMALL, *more, f"grid.arm=[{','.join(ARMS)}]"])
    return {cell.values["arm"]: cell.config for cell in planned}


def calibrator_of(config: DictConfig) -> Calibrator:
    made: Calibrator = instantiate(config.calibrator)
    return made


def test_every_arm_of_a_grid_has_its_name_and_its_calibrator(
    configs: dict[str, DictConfig],
) -> None:
    assert sorted(configs) == ARMS
    for arm, config in configs.items():
        assert config.arm.name == arm
        assert calibrator_of(config).name == BASELINES.get(arm, "frerec")


def test_settings_reach_the_calibrator_that_they_name_and_no_other(
    configs: dict[str, DictConfig],
) -> None:
    for arm in ("frerec", "rhm", "rhm_no_fesa"):
        made = calibrator_of(configs[arm])
        assert isinstance(made, FreRec)
        assert (made.shr.neighbours, made.shr.ratio) == (6, 0.4)
        assert made.training_settings.steps == 2
    low, high = (calibrator_of(configs[arm]).config() for arm in ("gda_fda", "gda_fda_high"))
    assert low == high | {"band": "low"}
    assert low["beta"] == 0.09
    assert calibrator_of(configs["gda_radial"]).config()["ratio"] == 0.5


def test_one_arm_alone_is_that_of_the_grid(configs: dict[str, DictConfig]) -> None:
    more = ["experiment=demo", "baselines.fda.beta=0.09", "calibrator.shr.ratio=0.4"]
    _, planned = expand("benchmark", [*SMALL, *more, "arm=gda_fda"])
    assert [cell.config.calibrator for cell in planned] == [configs["gda_fda"].calibrator]


def test_baselines_calibrate_samples_alone_and_lowpass_everything(
    configs: dict[str, DictConfig],
) -> None:
    for arm in BASELINES:
        treatment = configs[arm].arm
        expected = "calibrated" if arm == "gda_lowpass" else "raw"
        assert treatment.synthetic == "calibrated"
        assert (treatment.real, treatment.evaluation) == (expected, expected)


def test_rhm_no_fesa_differs_from_rhm_by_the_frequency_branch_alone(
    configs: dict[str, DictConfig],
) -> None:
    expected = calibrator_of(configs["rhm"]).config()
    assert expected["stages"] == ["rhm"]
    expected["rhm"]["frequency_branch"] = False
    assert calibrator_of(configs["rhm_no_fesa"]).config() == expected


def test_cells_and_fits_have_keys_of_their_own(
    configs: dict[str, DictConfig], tmp_path: Path
) -> None:
    """A fit on samples depends on them, the other fits do not; no two arms share a cell."""
    arms = ["frerec", "rhm_no_fesa", *BASELINES]
    cells: set[str] = set()
    keys: list[dict[str, str]] = []
    data: Any = None
    for seed in (0, 1):
        keys.append({})
        for arm in arms:
            config = configs[arm].copy()
            config.samples.seed, config.paths.store = seed, str(tmp_path)
            stages = Stages(config, data=data)
            data = stages.data
            cells.add(make_cell(PlannedCell({"arm": arm}, config), stages).id)
            keys[seed][arm] = stages.calibrator_key
    assert len(cells) == 2 * len(arms)
    assert len(set(keys[0].values())) == len(arms)
    assert {arm for arm in arms if keys[0][arm] != keys[1][arm]} == {"gda_radial"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two baselines."""
    root = tmp_path_factory.mktemp("arms")
    more = "grid.arm=[gda_radial,gda_lowpass]"
    assert main(["benchmark", *arguments(root, more)]) == 0
    return root


def test_baseline_arms_run_and_calibrate_what_they_say(finished: Path) -> None:
    run = finished / "runs" / "benchmark"
    states = [json.loads(path.read_text()) for path in run.glob("cells/*/status.json")]
    assert [state["state"] for state in states] == ["finished"] * 2
    _, planned = expand("benchmark", arguments(finished, "grid.arm=[gda_radial,gda_lowpass]"))
    radial, lowpass = (Stages(item.config) for item in planned)
    model = load_calibrator(radial.calibrator_folder)
    assert model.name == "radial"
    assert "synthetic_images" in json.loads((radial.calibrator_folder / "fit.json").read_text())
    samples = radial.samples.stack
    made: ImageStack = radial.calibrated("synthetic")
    expected = model.transform(samples.tensor())
    np.testing.assert_allclose(made.tensor(), expected, atol=1 / 65535)
    stacks = [path for path in (finished / "store" / "calibrated").iterdir() if path.is_dir()]
    assert len(stacks) == 3, "radial: samples alone; lowpass: samples and real images"
    assert len(lowpass.calibrated("real")) == len(lowpass.data.stack)


def test_the_showcase_shows_the_samples_after_a_baseline(finished: Path) -> None:
    folder = finished / "runs" / "benchmark" / "showcase"
    assert not (folder / "error.txt").exists()
    sets = json.loads((folder / "showcase.json").read_text())["sets"]
    assert set(sets) == {"synthetic", "synthetic_calibrated"}
    with np.load(folder / "images.npz") as images:
        assert images["synthetic_calibrated"].shape == images["synthetic"].shape
        assert not np.array_equal(images["synthetic_calibrated"], images["synthetic"])
    with np.load(folder / "spectra.npz") as spectra:
        assert "synthetic_calibrated_mean" in spectra.files
        assert "real_calibrated_mean" not in spectra.files, "radial leaves real images raw"
    assert (finished / "runs" / "benchmark" / "report" / "index.html").stat().st_size > 0


def test_a_lowpass_showcase_compares_with_real_images_after_it(finished: Path) -> None:
    """Against raw real images its high band would be infinitely far away."""
    _, planned = expand("benchmark", arguments(finished, "grid.arm=[gda_lowpass]"))
    (cell,) = with_stages(planned, progress=False)
    sets = collect_sets(cell, 12, calibrated=True)
    assert "real_calibrated" in sets.fidelity
    images = sets.images
    groups = cell.stages.data.manifest.groups()[sets.real_rows]
    found = distances(sets, groups, None, finished, lambda _name, make: make())
    expected, raw = (
        log_spectral_distance(images[real], images["synthetic_calibrated"], minimum_radius=0.5)
        for real in ("real_calibrated", "real")
    )
    assert found["synthetic_calibrated"]["lsd_high_db"] == expected
    assert raw > expected + 10
