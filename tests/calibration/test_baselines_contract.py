"""What every baseline calibrator keeps to, whatever it does to an image."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fixtures import textured_images
from frerec.calibration.amplitude_mix import AmplitudeMix
from frerec.calibration.base import Calibrator, load_calibrator
from frerec.calibration.fda import FourierDomainAdaptation
from frerec.calibration.histogram import HistogramMatching
from frerec.calibration.lowpass import LowPass
from frerec.calibration.one_to_one import OneToOneReplacement
from frerec.calibration.partners import PartnerCalibrator
from frerec.calibration.radial import RadialGain
from frerec.errors import ConfigError, DataError

BASELINES: dict[str, Callable[..., Calibrator]] = {
    "one_to_one": OneToOneReplacement,
    "radial": RadialGain,
    "fda": FourierDomainAdaptation,
    "fda_high": lambda **kw: FourierDomainAdaptation(band="high", **kw),
    "fda_random": lambda **kw: FourierDomainAdaptation(partner="random", **kw),
    "amplitude_mix": AmplitudeMix,
    "amplitude_mix_random": lambda **kw: AmplitudeMix(partner="random", **kw),
    "histogram": HistogramMatching,
    "lowpass": LowPass,
}
PARTNERED = [name for name in BASELINES if name not in ("radial", "lowpass")]


def dull(images: Tensor) -> Tensor:
    """Stand-ins for a generator's images: the real ones without much of their high frequencies."""
    return (0.5 * images + 0.25 * (images.roll(1, -1) + images.roll(1, -2))).clamp(0, 1)


def fitted(name: str, images: Tensor, groups: object = None, **arguments: object) -> Calibrator:
    return BASELINES[name](**arguments).fit(images, groups, synthetic=dull(images))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BASELINES)
@settings(deadline=None, max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(channels=st.sampled_from([1, 3]), height=st.integers(11, 24), width=st.integers(11, 24))
def test_shape_and_range_are_kept_for_every_size(
    name: str, channels: int, height: int, width: int
) -> None:
    shape = {"channels": channels, "height": height, "width": width}
    bank, images = textured_images(6, seed=1, **shape), textured_images(3, seed=2, **shape)
    out = fitted(name, bank)(images)
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_images_stay_finite_beside_textured_and_constant_real_ones(
    name: str, value: float
) -> None:
    flat = torch.full((6, 1, 16, 16), value)
    others = torch.linspace(0, 1, 6)[:, None, None, None].expand(6, 1, 16, 16)
    textured = textured_images(6, height=16, width=16)
    for real, images in ((textured, flat), (others, textured), (others, flat)):
        calibrator = BASELINES[name]().fit(real, torch.arange(6), synthetic=images)
        out = calibrator(images[:2])
        assert torch.isfinite(out).all()
        assert out.min() >= 0
        assert out.max() <= 1


@pytest.mark.parametrize("name", BASELINES)
def test_a_saved_baseline_gives_the_same_pixels(name: str, tmp_path: Path) -> None:
    bank, images = textured_images(12, channels=3), textured_images(4, channels=3, seed=2)
    calibrator = fitted(name, bank)
    calibrator.save(tmp_path)
    loaded = load_calibrator(tmp_path)
    assert type(loaded) is type(calibrator)
    assert loaded.config() == calibrator.config()
    assert loaded.input_shape == calibrator.input_shape
    assert torch.equal(loaded(images), calibrator(images))


@pytest.mark.parametrize("name", BASELINES)
def test_alone_or_in_any_batch_gives_the_same_pixels(name: str) -> None:
    shape = {"channels": 3, "height": 19, "width": 22}
    bank, images = textured_images(12, **shape), textured_images(7, seed=2, **shape)
    calibrator = fitted(name, bank)
    together = calibrator(images)
    assert torch.equal(together, calibrator(images))
    assert torch.equal(calibrator(images.flip(0)), together.flip(0))
    for i in range(7):
        assert torch.equal(calibrator(images[i : i + 1])[0], together[i])
    assert torch.equal(calibrator.transform(images, batch_size=3), together)


@pytest.mark.parametrize("name", BASELINES)
def test_the_size_of_the_fit_is_known_and_asked_for(name: str) -> None:
    calibrator = fitted(name, textured_images(6, height=16, width=20))
    if name == "lowpass":
        assert calibrator.input_shape is None
        return
    assert calibrator.input_shape == (1, 16, 20)
    with pytest.raises(DataError, match="fitted on"):
        calibrator(textured_images(1, height=20, width=16))
    with pytest.raises(DataError, match="fitted on"):
        calibrator(textured_images(1, channels=3, height=16, width=20))


@pytest.mark.parametrize("name", BASELINES)
def test_what_is_no_image_is_refused(name: str) -> None:
    calibrator = fitted(name, textured_images(6, height=16, width=16))
    nan = textured_images(1, height=16, width=16)
    nan[0, 0, 3, 3] = float("nan")
    for images, what in ((nan, "NaN"), (nan.nan_to_num() + 1.5, "values from")):
        with pytest.raises(DataError, match=what):
            calibrator(images)
    with pytest.raises(DataError, match="NaN"):
        BASELINES[name]().fit(nan, synthetic=nan)


@pytest.mark.parametrize("name", BASELINES)
def test_an_empty_batch_stays_empty(name: str) -> None:
    calibrator = fitted(name, textured_images(6, height=16, width=16))
    assert calibrator(torch.zeros(0, 1, 16, 16)).shape == (0, 1, 16, 16)


@pytest.mark.parametrize("name", [name for name in BASELINES if name != "lowpass"])
def test_an_unfitted_baseline_says_so(name: str) -> None:
    with pytest.raises(ConfigError, match="not fitted"):
        BASELINES[name]()(textured_images(1))


@pytest.mark.parametrize("name", PARTNERED)
def test_an_image_of_the_fit_never_meets_itself_or_its_patient(name: str) -> None:
    images = textured_images(18, height=16, width=16)
    groups = torch.arange(18) // 3
    calibrator = fitted(name, images, groups)
    assert isinstance(calibrator, PartnerCalibrator)
    partners = calibrator.partner_rows(images)
    assert (groups[partners] != groups).all()
    alone = fitted(name, images, torch.zeros(18))
    with pytest.raises(ConfigError, match="left"):
        alone(images[:1])


@pytest.mark.parametrize("name", ["fda_random", "amplitude_mix", "amplitude_mix_random"])
def test_draws_are_fixed_by_content_at_inference_and_new_in_training(name: str) -> None:
    bank, images = textured_images(30, seed=1), textured_images(4, seed=2)
    calibrator = fitted(name, bank)
    assert not torch.equal(calibrator(images), fitted(name, bank, seed=1)(images))
    calibrator.train()
    torch.manual_seed(0)
    assert not torch.equal(calibrator(images), calibrator(images))


def test_only_radial_asks_for_synthetic_images() -> None:
    assert [name for name in BASELINES if BASELINES[name]().uses_synthetic] == ["radial"]
    with pytest.raises(ConfigError, match="synthetic"):
        RadialGain().fit(textured_images(4))
    with pytest.raises(DataError, match="synthetic images of shape"):
        RadialGain().fit(textured_images(4), synthetic=textured_images(4, width=40))


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        ("one_to_one", "ratio", 0.0),
        ("one_to_one", "mask", "diamond"),
        ("one_to_one", "retrieval", "slow"),
        ("histogram", "bank_size", 0),
        ("radial", "ratio", 1.5),
        ("radial", "smoothing", -1.0),
        ("radial", "smallest_gain", 0.0),
        ("radial", "largest_gain", 0.5),
        ("radial", "eps", 0.0),
        ("fda", "beta", 0.0),
        ("fda", "beta", 0.6),
        ("fda", "band", "middle"),
        ("fda", "partner", "nearest"),
        ("amplitude_mix", "eta", 0.0),
        ("amplitude_mix", "eta", 1.1),
        ("lowpass", "ratio", -0.5),
        ("lowpass", "mask", "diamond"),
    ],
)
def test_arguments_outside_their_range_are_named(name: str, argument: str, value: object) -> None:
    with pytest.raises(ConfigError, match=argument):
        BASELINES[name](**{argument: value})
