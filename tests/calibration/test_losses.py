"""RHM's losses against their formulas on the full plane."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures import textured_images
from frerec.calibration.losses import SPECTRAL_TERMS, reconstruction_loss

LOSSES = sorted(SPECTRAL_TERMS)


def test_the_paper_loss_is_pixel_plus_spectral_mse() -> None:
    a, b = textured_images(2, seed=1, width=31), textured_images(2, seed=2, width=31)
    x, y = a.double().numpy(), b.double().numpy()
    spectral = np.abs(np.fft.fft2(x - y, norm="ortho")) ** 2
    expected = ((x - y) ** 2).mean() + 0.3 * spectral.mean()
    assert float(reconstruction_loss(a, b, spectral_weight=0.3)) == pytest.approx(
        expected, rel=1e-5
    )


def test_the_amplitude_loss_is_blind_to_phase() -> None:
    a = textured_images(1)
    shifted = torch.roll(a, 5, dims=-1)  # changes phases alone
    pixel = float((a - shifted).square().mean())
    assert float(reconstruction_loss(a, shifted, loss="amplitude")) == pytest.approx(
        pixel, rel=1e-4
    )


@pytest.mark.parametrize("width", [31, 32])
def test_the_other_spectral_terms_follow_their_formulas(width: int) -> None:
    a, b = textured_images(1, seed=1, width=width), textured_images(1, seed=2, width=width)
    x, y = (np.fft.fft2(image.double().numpy(), norm="ortho") for image in (a, b))
    pixel = float((a - b).double().square().mean())
    logs = np.abs(np.log(np.abs(x) + 1e-4) - np.log(np.abs(y) + 1e-4)).mean()
    error = np.abs(x - y)
    focal = (error / error.max() * error**2).mean()
    for name, expected in (("log_amplitude", logs), ("focal", focal)):
        found = float(reconstruction_loss(a, b, loss=name)) - pixel  # type: ignore[arg-type]
        assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("loss", ["paper", "amplitude", "log_amplitude", "focal"])
def test_losses_vanish_at_the_target_with_finite_gradients(loss: str) -> None:
    target = textured_images(1)
    output = target.clone().requires_grad_()
    value = reconstruction_loss(output, target, loss=loss)  # type: ignore[arg-type]
    value.backward()
    assert float(value) == 0
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(3, 20),
    width=st.integers(3, 20),
    channels=st.sampled_from([1, 3]),
    loss=st.sampled_from(LOSSES),
    constant=st.booleans(),
)
def test_gradients_are_finite_for_any_size_and_for_constant_images(
    height: int, width: int, channels: int, loss: str, constant: bool
) -> None:
    torch.manual_seed(0)
    shape = (2, channels, height, width)
    target = torch.full(shape, 0.5) if constant else torch.rand(shape)
    output = torch.zeros(shape, requires_grad=True)
    reconstruction_loss(output, target, loss=loss).backward()  # type: ignore[arg-type]
    assert output.grad is not None
    assert torch.isfinite(output.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_under_mixed_precision_a_loss_is_computed_in_float32(loss: str) -> None:
    target = textured_images(2, width=27)
    output = textured_images(2, seed=1, width=27).bfloat16()
    expected = reconstruction_loss(output.float(), target, loss=loss)  # type: ignore[arg-type]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reconstruction_loss(output, target, loss=loss)  # type: ignore[arg-type]
        both = reconstruction_loss(output, target.bfloat16(), loss=loss)  # type: ignore[arg-type]
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert both.dtype == torch.float32


def test_the_focal_weight_carries_no_gradient() -> None:
    """d/dx mean(w e^2) = 2 w e dF/dx with w fixed: checked against differences."""
    torch.manual_seed(1)
    target, output = torch.rand(2, 1, 1, 6, 7, dtype=torch.float64).float()
    error = np.fft.fft2((output - target).double().numpy(), norm="ortho")
    weight = np.abs(error) / np.abs(error).max()
    expected = 2 * np.fft.ifft2(weight * error, norm="ortho").real / error.size
    output = output.clone().requires_grad_()
    SPECTRAL_TERMS["focal"](output, target).backward()
    assert output.grad is not None
    np.testing.assert_allclose(output.grad.numpy(), expected, atol=1e-6)
