"""FETRestormer: shapes, parameter counts and the FESA formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.errors import ConfigError, DataError
from frerec.networks import FETRestormer
from frerec.networks.fet import FETBlock, FrequencyEnhancedSelfAttention
from frerec.networks.fet_restormer import pad_to_multiple
from frerec.networks.layers import ChannelLayerNorm, TransposedAttention


def tiny(channels: int = 1, **arguments: object) -> FETRestormer:
    torch.manual_seed(0)
    network = FETRestormer(
        channels, width=4, blocks=(1, 1, 1, 1), heads=(1, 1, 2, 2), refinement=1, **arguments
    )
    torch.nn.init.normal_(network.output.weight, std=0.1)  # away from the identity it starts at
    return network.eval()


@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(5, 41),
    width=st.integers(5, 41),
    channels=st.sampled_from([1, 3]),
    patch=st.sampled_from([1, 2]),
)
def test_any_size_comes_back_in_shape(height: int, width: int, channels: int, patch: int) -> None:
    images = torch.rand(2, channels, height, width)
    with torch.no_grad():
        out = tiny(channels, patch=patch)(images)
    assert out.shape == images.shape
    assert torch.isfinite(out).all()


def test_padding_reflects_and_leaves_multiples_alone() -> None:
    image = torch.rand(1, 1, 13, 16)
    padded = pad_to_multiple(image, 8)
    expected = np.pad(image.numpy(), ((0, 0), (0, 0), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(padded.numpy(), expected)
    assert pad_to_multiple(padded, 8) is padded


def test_the_paper_network_has_about_26_million_parameters() -> None:
    parameters = sum(p.numel() for p in FETRestormer.preset("base").parameters())
    assert parameters == pytest.approx(26e6, rel=0.06)


def test_levels_and_blocks_are_the_papers() -> None:
    network = FETRestormer.preset("base")
    assert [len(stage) for stage in network.encoder] == [2, 4, 6]
    assert len(network.bottleneck) == 8
    assert [len(stage) for stage in network.decoder] == [2, 4, 6]
    assert len(network.refinement) == 2
    assert all(isinstance(block, FETBlock) for block in network.bottleneck)


def test_training_starts_from_the_identity() -> None:
    images = torch.rand(1, 1, 32, 32)
    assert torch.equal(FETRestormer.preset("lite")(images), images)


def test_the_ablation_has_no_frequency_branch() -> None:
    network = FETRestormer.preset("lite", frequency_branch=False)
    assert not any(isinstance(m, FrequencyEnhancedSelfAttention) for m in network.modules())


def test_fesa_is_the_formula() -> None:
    """A' = A g[c, ring], g from the rings' mean log(1 + A); ring means over the full plane."""
    torch.manual_seed(1)
    fesa = FrequencyEnhancedSelfAttention(3, rings=6).eval()
    torch.nn.init.normal_(fesa.gate.weight)
    x = torch.randn(2, 3, 12, 15)
    full = np.fft.fft2(x.double().numpy(), norm="ortho")
    radius = np.hypot(np.fft.fftfreq(12)[:, None], np.fft.fftfreq(15)[None, :]) / 0.5
    ring = np.minimum((radius / 2**0.5 * 6 + 1e-12).astype(int), 5)
    summary = np.stack(
        [
            np.log1p(np.abs(full))[..., ring == k].mean(-1)
            if (ring == k).any()
            else np.zeros((2, 3))
            for k in range(6)
        ],
        axis=-1,
    )
    with torch.no_grad():
        hidden = torch.nn.functional.gelu(fesa.profile(torch.from_numpy(summary).float()))
        gate = torch.sigmoid(fesa.gate(hidden)).double().numpy()
        expected = np.fft.ifft2(full * gate[..., ring], norm="ortho").real
        found = fesa(x).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_fesa_starts_near_the_identity() -> None:
    x = torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        out = FrequencyEnhancedSelfAttention(4)(x)
    torch.testing.assert_close(out, x, atol=0.2, rtol=0.1)


def test_attention_is_across_channels() -> None:
    """Without the 3x3 kernel there is no neighbourhood: shuffled pixels, shuffled output."""
    attention = TransposedAttention(4, 2).eval()
    with torch.no_grad():
        centre = attention.qkv_local.weight[:, :, 1:2, 1:2].clone()
        attention.qkv_local.weight.zero_()
        attention.qkv_local.weight[:, :, 1:2, 1:2] = centre
        x = torch.randn(1, 4, 6, 6)
        order = torch.randperm(36)
        shuffled = x.flatten(2)[..., order].unflatten(2, (6, 6))
        expected = attention(x).flatten(2)[..., order].unflatten(2, (6, 6))
        torch.testing.assert_close(attention(shuffled), expected, atol=1e-5, rtol=1e-4)


def test_layer_norm_divides_by_the_deviation_over_channels() -> None:
    x = torch.randn(2, 5, 3, 4)
    expected = x.numpy() / np.sqrt(x.numpy().var(axis=1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(ChannelLayerNorm(5)(x).detach().numpy(), expected, atol=1e-5)


def test_every_parameter_gets_a_finite_gradient() -> None:
    network = tiny().train()
    network(torch.rand(1, 1, 24, 20)).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_black_image_gives_finite_gradients() -> None:
    network = tiny().train()
    image = torch.zeros(1, 1, 16, 16, requires_grad=True)
    network(image).sum().backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="base, lite"):
        FETRestormer.preset("huge")
    with pytest.raises(ConfigError, match="one entry a level"):
        FETRestormer(blocks=(1, 1), heads=(1,))
    with pytest.raises(ConfigError, match="heads"):
        FETRestormer(width=6, blocks=(1, 1), heads=(4, 4))
    with pytest.raises(DataError, match=r"\[B, C, H, W\]"):
        tiny()(torch.rand(16, 16))
