"""RHM and FreRec: training on real pairs, determinism, files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures import textured_images
from frerec.calibration import (
    FreRec,
    Identity,
    ReconstructiveHighFrequencyMapping,
    StatisticalHighFrequencyReplacement,
    bank,
    load_calibrator,
    rhm_pairs,
)
from frerec.calibration.rhm_pairs import DegradedPairs, hold_out, search_neighbours
from frerec.errors import ConfigError, DataError
from frerec.training_tools import Draw

QUICK = {"steps": 6, "batch_size": 4, "eval_every": 3, "accelerator": "cpu"}


@pytest.fixture(scope="module")
def real() -> torch.Tensor:
    return textured_images(40, seed=1)


@pytest.fixture(scope="module")
def fitted(real: torch.Tensor) -> FreRec:
    torch.set_num_threads(1)
    return FreRec(shr={"neighbours": 6}, training=QUICK).fit(real)


def test_training_improves_the_reconstruction(real: torch.Tensor) -> None:
    calibrator = FreRec(
        shr={
            "neighbours": 6,
            "representation": "complex",  # its grid of noise is easy to tell from texture
            "deviation_scale": 3.0,  # strong noise: a few steps suffice to see it removed
            "clip": None,
        },
        rhm={"learning_rate": 2e-3},
        training={**QUICK, "steps": 16, "eval_every": 16},
    ).fit(real)
    assert calibrator.report["psnr"] > calibrator.report["input_psnr"] + 1.0


def test_pairs_are_shr_of_an_image_and_the_image_itself(real: torch.Tensor) -> None:
    shr = StatisticalHighFrequencyReplacement(neighbours=6).fit(real).eval()
    neighbours = shr.neighbour_indices(real)
    pairs = DegradedPairs(shr, real, torch.arange(len(real)), neighbours, seed=3)
    degraded, target = pairs[Draw(7, 0)]
    assert torch.equal(target, real[7])
    assert not torch.equal(degraded, target)
    assert torch.equal(pairs[Draw(7, 0)][0], degraded)  # a draw can be repeated after a resume
    assert not torch.equal(pairs[Draw(7, 1)][0], degraded)  # the next draw has new noise


def test_crops_are_cut_from_both_images_at_one_place(real: torch.Tensor) -> None:
    shr = StatisticalHighFrequencyReplacement(neighbours=6, sampling="mean").fit(real).eval()
    neighbours = shr.neighbour_indices(real)
    whole = DegradedPairs(shr, real, torch.arange(len(real)), neighbours, seed=3)[Draw(2, 5)]
    crop = DegradedPairs(shr, real, torch.arange(len(real)), neighbours, seed=3, crop=16)[
        Draw(2, 5)
    ]
    places = [
        (top, left)
        for top in range(17)
        for left in range(17)
        if torch.equal(whole[1][:, top : top + 16, left : left + 16], crop[1])
    ]
    assert len(places) == 1
    top, left = places[0]
    assert torch.equal(whole[0][:, top : top + 16, left : left + 16], crop[0])


def test_held_out_patients_are_whole() -> None:
    groups = torch.arange(40) // 4
    train, held = hold_out(groups, 0.25, seed=0)
    assert len(held) == 8
    assert not set(groups[train].tolist()) & set(groups[held].tolist())
    with pytest.raises(ConfigError, match="one patient"):
        hold_out(torch.zeros(5, dtype=torch.long), 0.1, seed=0)


def test_frerec_is_shr_then_rhm(fitted: FreRec) -> None:
    images = textured_images(3, seed=2)
    with torch.no_grad():
        torch.testing.assert_close(fitted(images), fitted.rhm(fitted.shr(images)))
        assert not torch.equal(fitted(images), fitted.shr(images))


def test_alone_or_in_any_batch_gives_the_same_pixels(fitted: FreRec) -> None:
    images = textured_images(5, seed=2)
    together = fitted.transform(images)
    for i in range(5):
        assert torch.equal(fitted.transform(images[i : i + 1])[0], together[i])
    assert torch.equal(fitted.transform(images.flip(0)), together.flip(0))


def test_output_keeps_shape_and_range(fitted: FreRec) -> None:
    out = fitted.transform(textured_images(2, seed=2))
    assert out.shape == (2, 1, 32, 32)
    assert out.min() >= 0
    assert out.max() <= 1
    assert fitted.transform(torch.zeros(0, 1, 32, 32)).shape == (0, 1, 32, 32)


def test_a_single_stage_can_be_applied(fitted: FreRec, tmp_path: Path) -> None:
    images = textured_images(2, seed=2)
    fitted.save(tmp_path)
    text = json.loads((tmp_path / "calibrator.json").read_text())
    text["config"]["stages"] = ["rhm"]
    (tmp_path / "calibrator.json").write_text(json.dumps(text))
    with torch.no_grad():
        assert torch.equal(load_calibrator(tmp_path)(images), fitted.rhm(images))


def test_save_and_load_give_the_same_pixels_without_pickle(fitted: FreRec, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "calibrator.json",
        "calibrator.safetensors",
    ]
    loaded = FreRec.load(tmp_path)
    images = textured_images(3, seed=2)
    assert torch.equal(loaded.transform(images), fitted.transform(images))
    assert loaded.config() == fitted.config()


def test_a_fit_in_colour_works_on_sizes_that_8_does_not_divide() -> None:
    real = textured_images(20, channels=3, height=27, width=21)
    calibrator = FreRec(training={**QUICK, "steps": 1, "eval_every": 1}).fit(real)
    out = calibrator.transform(textured_images(2, channels=3, height=27, width=21, seed=3))
    assert out.shape == (2, 3, 27, 21)


def test_a_killed_fit_goes_on_to_the_same_weights(real: torch.Tensor, tmp_path: Path) -> None:
    straight = FreRec(shr={"neighbours": 6}, training=QUICK).fit(real, directory=tmp_path / "a")

    calls = 0
    original = DegradedPairs.__getitem__

    def dying(self: DegradedPairs, draw: Draw) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal calls
        calls += 1
        if calls > 4 * 4:
            raise KeyboardInterrupt
        return original(self, draw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DegradedPairs, "__getitem__", dying)
        with pytest.raises(KeyboardInterrupt):
            FreRec(shr={"neighbours": 6}, training=QUICK).fit(real, directory=tmp_path / "b")
    assert (tmp_path / "b" / "last.ckpt").exists()
    resumed = FreRec(shr={"neighbours": 6}, training=QUICK).fit(real, directory=tmp_path / "b")
    for (name, a), b in zip(
        straight.rhm.state_dict().items(), resumed.rhm.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


@pytest.mark.parametrize("stages", [("shr", "rhm"), ("shr",), ("rhm",)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_floats_are_taken_as_float32(
    fitted: FreRec, stages: tuple[str, ...], dtype: torch.dtype
) -> None:
    images = textured_images(2, seed=2).to(dtype)
    with used_with(fitted, stages):
        out = fitted.transform(images)
        assert out.dtype == torch.float32
        assert torch.equal(out, fitted.transform(images.float()))


def test_an_image_fitted_in_double_precision_is_recognised_in_any() -> None:
    real = textured_images(20, seed=4).double()
    model = FreRec(shr={"neighbours": 4}, training=ONE_STEP).fit(real)
    assert model.shr.bank.known(real.float()).diagonal().all()
    assert torch.equal(model.transform(real), model.transform(real.float()))


@contextmanager
def used_with(model: FreRec, stages: tuple[str, ...]) -> Iterator[None]:
    """The model with these stages, and then with both again."""
    model.use(stages=stages)
    try:
        yield
    finally:
        model.use(stages=("shr", "rhm"))


def test_an_image_is_hashed_once_a_call(real: torch.Tensor) -> None:
    training = {**QUICK, "steps": 1, "eval_every": 1}
    model = FreRec(shr={"neighbours": 4}, training=training, cross_fit=2).fit(real[:20])
    hashed = []
    original = bank.hashlib.blake2b

    def watched(*args: Any, **kwargs: Any) -> Any:
        hashed.append(args)
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bank.hashlib, "blake2b", watched)
        model.transform(textured_images(3, seed=2))
    assert len(hashed) == 3


def test_neighbours_are_searched_where_the_training_runs(real: torch.Tensor) -> None:
    shr = StatisticalHighFrequencyReplacement(neighbours=6).fit(real)
    expected = shr.neighbour_indices(real[:3])
    events: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        kind = StatisticalHighFrequencyReplacement
        search = kind.neighbour_indices
        patch.setattr(kind, "to", lambda self, device: events.append(device) or self)
        patch.setattr(
            kind,
            "neighbour_indices",
            lambda self, images, **rest: events.append("search") or search(self, images, **rest),
        )
        patch.setattr(rhm_pairs, "training_device", lambda name: f"device of {name}")
        found = search_neighbours(shr, real[:3], "auto")
    assert events == ["device of auto", "search", torch.device("cpu")]
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("part", "setting"),
    [
        ("training", {"crop": 16}),
        ("training", {"monitor": "val/ssim"}),
        ("training", {"validation_fraction": 0.3}),
        ("training", {"validation_limit": 2}),
        ("training", {"gradient_clip": 0.5}),
        ("shr", {"clip": None}),
        ("rhm", {"loss": "focal"}),
    ],
)
def test_a_fit_is_not_resumed_with_other_settings(
    begun: Path, real: torch.Tensor, part: str, setting: dict[str, Any]
) -> None:
    arguments: dict[str, dict[str, Any]] = {"shr": {"neighbours": 6}, "training": ONE_STEP}
    arguments[part] = {**arguments.get(part, {}), **setting}
    key = "model" if part == "rhm" else "shr" if part == "shr" else next(iter(setting))
    with pytest.raises(ConfigError, match=f"another .*{key}") as caught:
        FreRec(**arguments).fit(real, directory=begun)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_fit_is_not_resumed_on_other_images_or_patients(begun: Path, real: torch.Tensor) -> None:
    def model() -> FreRec:
        return FreRec(shr={"neighbours": 6}, training=ONE_STEP)

    with pytest.raises(ConfigError, match="another real_images"):
        model().fit(real.flip(-1), directory=begun)
    with pytest.raises(ConfigError, match="real_images"):
        model().fit(real, torch.arange(40) // 2, directory=begun)
    model().fit(real, directory=begun)  # the same goes on


ONE_STEP = {**QUICK, "steps": 1, "eval_every": 1}


@pytest.fixture(scope="module")
def begun(real: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fit."""
    folder = tmp_path_factory.mktemp("fit")
    FreRec(shr={"neighbours": 6}, training=ONE_STEP).fit(real, directory=folder)
    return folder


def test_shr_is_plain_pytorch_and_a_saved_frerec_loads_all_the_same(
    fitted: FreRec, tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    code = (
        "import sys; import frerec.calibration.shr, frerec.calibration.retrieval;"
        "print('pytorch_lightning' in sys.modules);"
        "from frerec.calibration.base import load_calibrator;"
        f"print(type(load_calibrator({str(tmp_path)!r})).__name__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "FreRec"]


def test_the_package_names_what_it_holds() -> None:
    import frerec.calibration as package

    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    with pytest.raises(AttributeError, match="Magic"):
        _ = package.Magic


def test_the_identity_changes_nothing(real: torch.Tensor, tmp_path: Path) -> None:
    identity = Identity().fit(real)
    identity.save(tmp_path)
    assert torch.equal(load_calibrator(tmp_path)(real), real)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: (d / "calibrator.json").unlink(), "no calibrator here"),
        (lambda d: (d / "calibrator.safetensors").write_bytes(b"rubbish"), "unreadable"),
        (lambda d: (d / "calibrator.json").write_text("{}"), "not a calibrator"),
        (
            lambda d: (d / "calibrator.json").write_text(
                '{"calibrator": "os.system", "format": 1, "config": {}}'
            ),
            "os.system",
        ),
    ],
)
def test_a_damaged_model_is_refused_in_one_line(
    fitted: FreRec, tmp_path: Path, damage: object, message: str
) -> None:
    fitted.save(tmp_path)
    damage(tmp_path)  # type: ignore[operator]
    with pytest.raises(DataError, match=message) as caught:
        load_calibrator(tmp_path)
    assert "\n" not in str(caught.value)


def test_loading_as_another_class_is_refused(fitted: FreRec, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    with pytest.raises(DataError, match="frerec"):
        Identity.load(tmp_path)


def test_unknown_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="ration"):
        FreRec(shr={"ration": 0.5})
    with pytest.raises(ConfigError, match="stages"):
        FreRec(stages=("shr", "magic"))
    with pytest.raises(ConfigError, match="loss"):
        ReconstructiveHighFrequencyMapping(loss="l7")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"precision=bf16-true: expected one of 32-true"):
        FreRec(training={"precision": "bf16-true"})
    with pytest.raises(ConfigError, match="validation_fraction"):
        FreRec(training={"validation_fraction": 1.0})
