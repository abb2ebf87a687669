"""On a GPU the calibrators give what they give on the CPU; skipped where there is none."""

from collections.abc import Callable

import pytest
import torch

from fixtures import textured_images
from frerec.calibration import (
    AmplitudeMix,
    Calibrator,
    FourierDomainAdaptation,
    FreRec,
    HistogramMatching,
    LowPass,
    OneToOneReplacement,
    RadialGain,
    StatisticalHighFrequencyReplacement,
    load_calibrator,
)
from frerec.calibration.retrieval import top_k_ssim

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

# FFTs and sums on a GPU round differently; 1e-4 is a fortieth of an 8-bit level.
CLOSE = {"atol": 1e-4, "rtol": 0.0}
TRAINING = {"steps": 2, "batch_size": 4, "eval_every": 1}


@pytest.fixture(scope="module")
def real() -> torch.Tensor:
    return textured_images(40, seed=1)


@pytest.mark.parametrize("method", ["exact", "fast"])
def test_the_search_finds_the_same_neighbours(method: str) -> None:
    bank, queries = textured_images(60, height=120, width=112, seed=1), textured_images(
        5, height=120, width=112, seed=2
    )  # fmt: skip
    exclude = torch.zeros(5, 60, dtype=torch.bool)
    exclude[:, ::7] = True
    scores, indices = top_k_ssim(queries, bank, 10, exclude=exclude, method=method)  # type: ignore[arg-type]
    found_scores, found = top_k_ssim(
        queries.cuda(), bank, 10, exclude=exclude, method=method  # type: ignore[arg-type]
    )  # fmt: skip
    assert found.device.type == "cuda"
    assert torch.equal(found.cpu(), indices)
    torch.testing.assert_close(found_scores.cpu(), scores, atol=1e-5, rtol=0)


@pytest.mark.parametrize("granularity", ["bin", "ring", "scalar"])
@pytest.mark.parametrize("representation", ["complex", "amplitude", "log_amplitude"])
def test_shr_gives_the_same_pixels(
    real: torch.Tensor, granularity: str, representation: str
) -> None:
    shr = StatisticalHighFrequencyReplacement(
        neighbours=6,
        granularity=granularity,  # type: ignore[arg-type]
        representation=representation,  # type: ignore[arg-type]
    ).fit(real)
    images = torch.cat([textured_images(4, seed=2), real[:2]])
    expected = shr.transform(images)
    torch.testing.assert_close(shr.cuda().transform(images), expected, **CLOSE)
    found = shr.transform(images.cuda())
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)


BASELINES: list[Callable[[], Calibrator]] = [
    lambda: AmplitudeMix(),
    lambda: FourierDomainAdaptation(),
    lambda: HistogramMatching(),
    lambda: LowPass(),
    lambda: OneToOneReplacement(),
    lambda: RadialGain(),
]


@pytest.mark.parametrize("make", BASELINES)
def test_a_baseline_gives_the_same_pixels(
    real: torch.Tensor, make: Callable[[], Calibrator]
) -> None:
    model, images = make(), textured_images(4, seed=2)
    synthetic = textured_images(40, seed=3) if model.uses_synthetic else None
    model.fit(real, synthetic=synthetic)
    expected = model.transform(images)
    found = model.cuda().transform(images.cuda())
    torch.testing.assert_close(found.cpu(), expected, **CLOSE)


@pytest.mark.parametrize("model_on", ["cpu", "cuda"])
@pytest.mark.parametrize("images_on", ["cpu", "cuda"])
@pytest.mark.parametrize("accelerator", ["cpu", "gpu"])
@pytest.mark.parametrize("cross_fit", [1, 2])
def test_a_fit_ends_where_the_calibrator_was(
    real: torch.Tensor, model_on: str, images_on: str, accelerator: str, cross_fit: int
) -> None:
    training = {**TRAINING, "accelerator": accelerator}
    model = FreRec(shr={"neighbours": 6}, training=training, cross_fit=cross_fit).to(model_on)
    model.fit(real.to(images_on))
    assert {tensor.device.type for tensor in model.state_dict().values()} == {model_on}
    images = textured_images(3, seed=2)
    for place in ("cpu", "cuda"):
        out = model.transform(images.to(place))
        assert out.device.type == place
        assert torch.isfinite(out).all()


def test_workers_prepare_pairs_for_a_gpu(real: torch.Tensor) -> None:
    training = {**TRAINING, "accelerator": "gpu", "num_workers": 1}
    report = FreRec(shr={"neighbours": 6}, training=training).cuda().fit(real.cuda()).report
    assert report["steps"] == 2


def test_a_fitted_frerec_gives_the_same_pixels(
    real: torch.Tensor, tmp_path_factory: pytest.TempPathFactory
) -> None:
    training = {**TRAINING, "accelerator": "cpu"}
    model = FreRec(shr={"neighbours": 6}, rhm={"learning_rate": 1e-2}, training=training).fit(real)
    images = torch.cat([textured_images(3, seed=2), real[:2]])
    expected = model.transform(images)
    folder = tmp_path_factory.mktemp("model")
    model.cuda().save(folder)
    torch.testing.assert_close(model.transform(images), expected, atol=1e-3, rtol=0)
    assert torch.equal(load_calibrator(folder).transform(images), expected)


@pytest.mark.parametrize("precision", ["16-mixed", "bf16-mixed"])
def test_a_fit_in_mixed_precision_is_finite(real: torch.Tensor, precision: str) -> None:
    training = {**TRAINING, "accelerator": "gpu", "precision": precision}
    rhm = {"inference_precision": precision}
    model = FreRec(shr={"neighbours": 6}, rhm=rhm, training=training).fit(real).cuda()
    assert torch.isfinite(model.transform(textured_images(3, seed=2))).all()
