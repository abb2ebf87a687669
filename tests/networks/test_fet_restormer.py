"""FETRestormer: shapes, parameter counts and the FESA formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.errors import ConfigError, DataError
from frerec.networks import FETRestormer
from frerec.networks.fet import FETBlock, FrequencyEnhancedSelfAttention, along_rings
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


@pytest.mark.parametrize("scale", [1e-2, 1.0, 600.0, 1e4])
def test_layer_norm_in_half_precision_does_not_overflow(scale: float) -> None:
    torch.manual_seed(0)
    x = (scale * torch.randn(2, 6, 3, 4)).half()
    norm = ChannelLayerNorm(6)
    expected = norm(x.float())
    torch.testing.assert_close(norm(x), expected, atol=1e-6, rtol=1e-6)
    half = norm.half()(x)
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), expected, atol=1e-3, rtol=1e-3)


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


def naive_attention(attention: TransposedAttention, x: torch.Tensor) -> torch.Tensor:
    """The equations as they are printed: normalise, product, softmax, product."""
    b, c, h, w = x.shape
    q, k, v = attention.qkv_local(attention.qkv(x)).chunk(3, dim=1)
    q, k, v = (t.reshape(b, attention.heads, c // attention.heads, h * w) for t in (q, k, v))
    q, k = (torch.nn.functional.normalize(t, dim=-1) for t in (q, k))
    weights = (q @ k.transpose(-1, -2) * attention.temperature).softmax(-1)
    return (weights @ v).reshape(b, c, h, w)


@settings(deadline=None, max_examples=15)
@given(
    heads=st.sampled_from([1, 2, 4]),
    batch=st.integers(1, 3),
    size=st.integers(3, 9),
    channels_last=st.booleans(),
)
def test_a_block_is_the_sum_of_its_printed_equations(
    heads: int, batch: int, size: int, channels_last: bool
) -> None:
    torch.manual_seed(heads)
    block = FETBlock(8, heads).eval()
    x = torch.randn(batch, 8, size, size + 2)
    with torch.no_grad():
        normed = block.norm_attention(x)
        branches = [naive_attention(block.spatial, normed), block.frequency(normed)]
        y = x + block.fuse(torch.cat(branches, dim=1))
        feed = block.feed_forward
        hidden = feed.local(feed.expand(block.norm_feed_forward(y)))
        gate, value = hidden.chunk(2, dim=1)
        expected = y + feed.project(torch.nn.functional.gelu(gate) * value)
        if channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        found = block(x)
    assert found.is_contiguous(memory_format=torch.channels_last) or not channels_last
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_the_plain_block_closes_the_attention_with_its_own_convolution() -> None:
    torch.manual_seed(0)
    attention, x = TransposedAttention(8, 2), torch.randn(2, 8, 5, 6)
    with torch.no_grad():
        expected = attention.project(naive_attention(attention, x))
        torch.testing.assert_close(attention(x), expected, atol=1e-6, rtol=1e-5)


@settings(deadline=None, max_examples=15)
@given(groups=st.integers(1, 5), batch=st.integers(1, 3), rings=st.integers(1, 17))
def test_the_ring_convolutions_are_grouped_convolutions(
    groups: int, batch: int, rings: int
) -> None:
    torch.manual_seed(0)
    convolution = torch.nn.Conv1d(2 * groups, 3 * groups, 3, padding=1, groups=groups)
    x = torch.randn(batch, 2 * groups, rings)
    with torch.no_grad():
        expected = convolution(x)
        profiles = x.unflatten(1, (groups, 2)).permute(1, 2, 0, 3)
        found = along_rings(convolution, profiles).permute(2, 0, 1, 3).flatten(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_half_precision_attention_does_not_overflow() -> None:
    attention = TransposedAttention(4, 1).half()
    q = torch.full((1, 4, 64, 64), 60.0, dtype=torch.float16)
    weights = attention._attention(q, q)
    torch.testing.assert_close(weights.float(), torch.full((1, 1, 4, 4), 0.25), atol=1e-2, rtol=0)


def test_ring_matrices_made_in_inference_can_be_trained_with() -> None:
    fesa, x = FrequencyEnhancedSelfAttention(2, rings=5), torch.randn(1, 2, 22, 26)
    with torch.inference_mode():
        fesa(x)
    fesa(x).sum().backward()
    assert fesa.gate.weight.grad is not None


def test_under_mixed_precision_fesa_computes_in_float32() -> None:
    fesa, x = FrequencyEnhancedSelfAttention(3), torch.randn(2, 3, 16, 18)
    with torch.no_grad():
        expected = fesa(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(fesa(x), expected)
            assert fesa(x.bfloat16()).dtype == torch.bfloat16


def test_an_option_that_no_preset_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="depth"):
        FETRestormer.preset("lite", depth=True)
