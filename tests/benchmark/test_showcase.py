"""The showcase of a run: each part against an independent reference, and a part that fails."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from frerec.benchmark import shown_embedding
from frerec.benchmark.cell import Cell
from frerec.benchmark.plan import expand
from frerec.benchmark.runner import with_stages
from frerec.benchmark.shown_embedding import embed, find_networks
from frerec.benchmark.treatments import treatments
from frerec.cli import main
from frerec.report.showcase import read_showcase

OVERRIDES = [
    "data=phantom_chest_xray",
    "data.count=60",
    "data.size=32",
    "debug=fast",
    "generator.width=4",
    "generator.latent_dim=4",
    "calibrator.shr.neighbours=6",
    "classifier.batch_size=8",
    "trainer.accelerator=cpu",
    "trainer.progress=false",
    "features.name=resnet10t",
    "showcase.spectra=16",
    "showcase.embedding_images=8",
    "report.figures=[]",
    "grid.arm=[raw,shr,raw_frerec,frerec]",
]

pytestmark = pytest.mark.xdist_group("showcase")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run in which the ablation comes before the whole method."""
    root = tmp_path_factory.mktemp("showcase")
    assert main(["benchmark", *arguments(root)]) == 0
    return root


@pytest.fixture(scope="module")
def cells(root: Path) -> list[Cell]:
    return with_stages(expand("benchmark", arguments(root))[1], progress=False)


def arguments(root: Path) -> list[str]:
    return [*OVERRIDES, f"paths.runs={root / 'runs'}", f"paths.store={root / 'store'}"]


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
    assert set(found.embedding) == {"before", "after"}
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
    assert len(data.rows("train")) > 16
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
    return rng.permutation(np.arange(count))[:16]


def test_fidelity_of_every_treatment_is_that_of_skimage(root: Path, cells: list[Cell]) -> None:
    entries = {entry["arm"]: entry for entry in notes(root)["arm_fidelity"]}
    assert list(entries) == ["shr", "frerec"]
    assert entries["frerec"]["arms"] == ["raw_frerec", "frerec"]
    for arm, entry in entries.items():
        stages = by_arm(cells, arm).stages
        rows = stages.data.rows("val")
        assert entry["images"] == len(rows) <= 16
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
    found = treatments(cells)
    assert [treatment.arms for treatment in found] == [["shr"], ["raw_frerec", "frerec"]]
    assert [treatment.axes["arm"] for treatment in found] == ["shr", "frerec"]
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
    from frerec.benchmark.showcase import _Parts

    parts = _Parts()
    networks = find_networks(by_arm(cells, "frerec"), cells)
    run_dir = root / "runs" / "benchmark"
    arrays, found = embed(networks, run_dir, 8, ["tsne", "umap"], parts)
    assert parts.missing == {"umap before": "no room for it", "umap after": "no room for it"}
    assert not parts.complete
    assert {"tsne_before", "tsne_after", "before_sets", "after_labels"} <= set(arrays)
    assert "the showcase lacks umap before: no room for it" in caplog.text
    assert (found["before"]["arm"], found["after"]["arm"]) == ("raw", "frerec")
    assert (found["before"]["split"], found["after"]["split"]) == ("val", "train")
    assert 0 <= found["before"]["overlap_calibrated"] <= 1


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
    assert main(["benchmark", *arguments(tmp_path), "showcase.embeddings=[pca]"]) == 2
    assert "showcase.embeddings=['pca']: expected some of tsne, umap" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
