"""The showcase of a run: each part against an independent reference, and a part that fails."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_runs
from omegaconf import DictConfig, OmegaConf
from skimage.metrics import structural_similarity

from frerec.benchmark import shown_distances, shown_embedding
from frerec.benchmark.cell import Cell
from frerec.benchmark.plan import expand
from frerec.benchmark.planned_stages import with_stages
from frerec.benchmark.showcase import _Parts, show, write_showcase
from frerec.benchmark.shown_embedding import Networks, embed, find_networks
from frerec.benchmark.shown_merging import PICTURES
from frerec.benchmark.shown_sets import collect_sets
from frerec.benchmark.treatments import treatments
from frerec.cli import main
from frerec.report.showcase import read_showcase

SHOWN = ("grid.arm=[raw,shr,frerec]", "showcase.embeddings=[tsne]", "showcase.embedding_images=8",
         "showcase.inference_images=2")  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in which the ablation comes before the whole method."""
    root = tmp_path_factory.mktemp("showcase")
    assert main(["benchmark", *arguments(root)]) == 0
    return root


@pytest.fixture(scope="module")
def planned(root: Path) -> tuple[DictConfig, list[Cell]]:
    base, items = expand("benchmark", arguments(root))
    return base, with_stages(items, progress=False)


@pytest.fixture(scope="module")
def cells(planned: tuple[DictConfig, list[Cell]]) -> list[Cell]:
    return planned[1]


def arguments(root: Path, *more: str) -> list[str]:
    return small_runs.arguments(root, *SHOWN, *more)


def folder(root: Path) -> Path:
    return root / "runs" / "benchmark" / "showcase"


def notes(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder(root) / "showcase.json").read_text())
    return found


def by_arm(cells: list[Cell], arm: str) -> Cell:
    return next(cell for cell in cells if cell.config.arm.name == arm)


def test_every_part_is_there_and_the_reader_takes_it(root: Path) -> None:
    assert notes(root)["missing"] == {}
    found = read_showcase(folder(root))
    assert found is not None
    assert set(found.embedding) == {"before", "calibrated", "after"}
    assert "real_frerec" in found.images
    assert not (folder(root) / "error.txt").exists()


def test_the_whole_method_is_shown_though_its_part_was_planned_first(
    root: Path, cells: list[Cell]
) -> None:
    stages = by_arm(cells, "frerec").stages
    with np.load(folder(root) / "images.npz") as images:
        shown = images["synthetic_frerec"].astype(float)
    made = (stages.calibrated("synthetic").tensor() * 255).round().numpy()
    for image in shown:
        assert (np.abs(made - image).max(axis=(1, 2, 3)) == 0).any()


def test_mean_planes_are_numpys(root: Path, cells: list[Cell]) -> None:
    data = cells[0].stages.data
    assert len(data.rows("train")) > 12
    stages = by_arm(cells, "frerec").stages
    with np.load(folder(root) / "spectra.npz") as spectra:
        plane, radial, rho = (spectra[f"synthetic{part}"] for part in ("_plane", "_mean", "_std"))
        assert rho.shape == radial.shape
    samples = stages.samples.stack.tensor().numpy()[:, 0].astype(np.float64)
    rows = np.sort(_drawn(len(samples), data))
    power = np.abs(np.fft.fft2(samples[rows], norm="ortho")) ** 2
    expected = np.fft.fftshift(np.log(power + 1e-12).mean(0))
    assert plane == pytest.approx(expected, abs=1e-3)


def _drawn(count: int, data: Any) -> np.ndarray:
    """The rows of the samples, the third draw after those of the real images."""
    rng = np.random.default_rng(0)
    rng.permutation(data.rows("train"))
    rng.permutation(data.rows("val"))
    return rng.permutation(np.arange(count))[:12]


def test_fidelity_of_every_treatment_is_that_of_skimage(root: Path, cells: list[Cell]) -> None:
    entries = {entry["arm"]: entry for entry in notes(root)["arm_fidelity"]}
    assert list(entries) == ["shr", "frerec"]
    assert entries["frerec"]["arms"] == ["frerec"]
    for arm, entry in entries.items():
        stages = by_arm(cells, arm).stages
        rows = stages.data.rows("val")
        assert entry["images"] == len(rows) <= 12
        before = stages.data.stack.tensor(rows).numpy()[:, 0]
        after = stages.calibrated("real").tensor(rows).numpy()[:, 0]
        error = np.square(before.astype(float) - after).mean(axis=(1, 2))
        assert entry["psnr"] == pytest.approx((-10 * np.log10(error)).mean(), abs=1e-4)
        # The mean of the whole map: torchmetrics keeps the border that skimage's own mean leaves.
        maps = [
            structural_similarity(a, b, data_range=1.0, gaussian_weights=True, sigma=1.5,
                                  use_sample_covariance=False, full=True)[1]
            for a, b in zip(before, after, strict=True)
        ]  # fmt: skip
        assert entry["ssim"] == pytest.approx(np.mean(maps), abs=5e-3)


def test_every_calibrator_is_timed_and_described(root: Path) -> None:
    entries = {entry["method"]: entry for entry in notes(root)["inference"]}
    assert set(entries) == {"shr", "frerec"}
    shr, frerec = entries["shr"], entries["frerec"]
    assert (shr["stages"], shr["network"], shr["parameters"]) == (["shr"], "", 0)
    assert frerec["stages"] == ["shr", "rhm"]
    assert frerec["network"] == "FET-Restormer lite"
    for entry in entries.values():
        assert entry["ms_low"] <= entry["ms_per_image"] <= entry["ms_high"]
        assert entry["ms_low"] > 0
        assert (entry["images"], entry["batch"], entry["size"]) == (2, 1, [32, 32])


def test_treatments_keep_the_axes_that_tell_them_apart(cells: list[Cell]) -> None:
    assert [treatment.axes["arm"] for treatment in treatments(cells)] == ["shr", "frerec"]
    several = [
        Cell(cell.id, cell.axes | {"samples.ratio": ratio, "x": 1}, cell.config, cell.stages)
        for cell in cells[1:2]
        for ratio in (1, 2)
    ]
    (only,) = treatments(several)
    assert only.extra == {"x": "1"}


def test_one_failing_part_leaves_the_others_and_is_tried_again(
    root: Path, cells: list[Cell], monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(_features: Any) -> Any:
        raise RuntimeError("no room\nfor it")

    monkeypatch.setitem(shown_embedding.METHODS, "umap", broken)
    parts = _Parts()
    networks = find_networks(by_arm(cells, "frerec"), cells)
    run_dir = root / "runs" / "benchmark"
    arrays, found = embed(networks, run_dir, 8, ["tsne", "umap"], parts)
    stages = ("before", "calibrated", "after")
    assert parts.missing == {f"umap {stage}": "no room for it" for stage in stages}
    assert not parts.complete
    assert {"tsne_before", "tsne_after", "before_sets", "after_labels"} <= set(arrays)
    assert "the showcase lacks umap before: no room for it" in caplog.text
    assert (found["before"]["arm"], found["after"]["arm"]) == ("raw", "frerec")
    assert (found["before"]["split"], found["after"]["split"]) == ("val", "train")
    before, calibrated = found["before"], found["calibrated"]
    same = ("split", "classifier", "arm", "seed", "images")
    assert all(before[key] == calibrated[key] for key in same), "only the images differ"
    assert [found[stage]["real_calibrated"] for stage in stages] == [False, True, True]


def test_the_notes_know_when_real_images_stay_as_they_are(root: Path, cells: list[Cell]) -> None:
    shown = by_arm(cells, "frerec")
    config = shown.config.copy()
    config.arm.real = "raw"
    alone = Cell(shown.id, shown.axes, config, shown.stages)
    networks = Networks(alone, by_arm(cells, "raw"), None)
    _, found = embed(networks, root / "runs" / "benchmark", 8, [], _Parts())
    assert found["calibrated"]["real_calibrated"] is False


def test_real_images_that_an_arm_leaves_raw_are_calibrated_for_the_showcase_alone(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = by_arm(cells, "frerec")
    whole = collect_sets(shown, 4, calibrated=True)
    config = shown.config.copy()
    config.arm.real = config.arm.evaluation = "raw"
    stages = copy.copy(shown.stages)

    def samples_alone(source: str) -> Any:
        assert source == "synthetic", "the whole real set would be calibrated"
        return shown.stages.calibrated(source)

    monkeypatch.setattr(stages, "calibrated", samples_alone)
    found = collect_sets(Cell(shown.id, shown.axes, config, stages), 4, calibrated=True)
    assert set(found.images) == set(whole.images)
    np.testing.assert_allclose(found.images["real_frerec"], whole.images["real_frerec"], atol=2e-5)
    assert found.fidelity["real_frerec_val"]["psnr"] == pytest.approx(
        whole.fidelity["real_frerec_val"]["psnr"], abs=1e-3
    )


@pytest.fixture
def widened(root: Path, tmp_path: Path) -> Iterator[Path]:
    """The run itself, put back afterwards."""
    shutil.copytree(root / "runs" / "benchmark", tmp_path / "before")
    yield root
    shutil.rmtree(root / "runs" / "benchmark")
    shutil.move(tmp_path / "before", root / "runs" / "benchmark")


def test_a_widened_run_keeps_what_was_found_of_the_other_arms(
    widened: Path, planned: tuple[DictConfig, list[Cell]]
) -> None:
    first = notes(widened)
    images = (folder(widened) / "images.npz").read_bytes()
    more = "grid.arm=[gda_histogram,raw_frerec]"
    assert main(["benchmark", *arguments(widened, more)]) == 0
    found = notes(widened)
    arms = {entry["arm"]: entry for entry in found["arm_fidelity"]}
    assert set(arms) == {"shr", "frerec"}
    assert arms["frerec"]["arms"] == ["frerec", "raw_frerec"], "one treatment"
    assert arms["shr"] == first["arm_fidelity"][0]
    assert {entry["method"] for entry in found["inference"]} == {"shr", "frerec", "histogram"}
    assert {part: found[part] for part in PICTURES} == {part: first[part] for part in PICTURES}
    assert (folder(widened) / "images.npz").read_bytes() == images, "a baseline hides no FreRec"
    assert len(found["calls"]) == 2
    base, cells = planned
    show(cells, widened / "runs" / "benchmark", base.showcase)
    assert notes(widened) == found, "what is known is not made again"


def test_a_failed_distance_leaves_the_other_parts(
    root: Path,
    planned: tuple[DictConfig, list[Cell]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base, cells = planned
    run_dir = tmp_path / "run"
    shutil.copytree(root / "runs" / "benchmark", run_dir)
    file = run_dir / "showcase" / "showcase.json"
    first = json.loads(file.read_text())
    seen = []

    def broken(*_: Any, **__: Any) -> float:
        seen.append(json.loads(file.read_text()))
        raise FloatingPointError("no distance")

    monkeypatch.setattr(shown_distances, "log_spectral_distance", broken)
    settings = OmegaConf.merge(base.showcase, {"embeddings": [], "embedding_images": 0})
    assert isinstance(settings, DictConfig)
    networks = find_networks(by_arm(cells, "frerec"), cells)
    write_showcase(networks, run_dir, settings, cells, {**first, "pictures": {}}, "new")
    found = json.loads(file.read_text())
    lacking = [f"distances of synthetic{part}" for part in ("", "_shr", "_frerec")]
    assert found["missing"] == dict.fromkeys(lacking, "no distance")
    assert found["sets"]["synthetic"]["lsd_db"] is None
    assert found["sets"]["synthetic"]["kid"] == pytest.approx(first["sets"]["synthetic"]["kid"])
    assert found["arm_fidelity"] == first["arm_fidelity"]
    assert found["calls"] == first["calls"], "it is tried again"
    assert "sets" not in seen[0], "no old words beside new pictures"
    assert seen[0]["inference"] == first["inference"], "a kill now would lose no other arm"


def test_classifiers_are_a_pair_of_one_seed_or_none(cells: list[Cell]) -> None:
    shown = by_arm(cells, "frerec")
    assert find_networks(shown, cells).after is shown
    assert find_networks(shown, [shown]).before is None
    other = by_arm(cells, "raw")
    config = other.config.copy()
    config.seed = 5
    alone = Cell("x", other.axes, config, other.stages)
    assert find_networks(shown, [alone, shown]).after is None, "no pair of one seed"


def test_an_unknown_embedding_is_refused_before_anything_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["benchmark", *arguments(tmp_path), "grid.arm=[raw]", "showcase.embeddings=[pca]"])
        == 2
    )
    assert "showcase.embeddings=['pca']: expected some of tsne, umap" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
