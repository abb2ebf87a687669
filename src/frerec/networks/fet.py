"""The frequency-enhanced transformer (FET) block of FreRec's RHM (arXiv 2511.12301).

Two branches read the same normalised features: the global spatial branch is Restormer's
transposed attention, the local frequency branch is FESA. They are concatenated, fused by a 1x1
convolution (which takes the place of the attention's own projection) and added to the input; a
gated feed-forward follows, as in Restormer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frerec.networks.layers import (
    ChannelLayerNorm,
    GatedFeedForward,
    TransposedAttention,
    is_channels_last,
)
from frerec.networks.rings import ring_matrices, ring_windows


class FrequencyEnhancedSelfAttention(nn.Module):
    """FESA: sigmoid-gated local attention over rings of the amplitude spectrum.

    [ours] in detail, with X the ortho-normalised half-plane FFT, A = |X| and phase kept:
    s[c, b] = mean over ring b of log(1 + A); g = sigmoid(conv(gelu(conv(s)))) with two
    convolutions of kernel 3 along the rings (the "local"), each channel on its own, with
    ``multiplier`` hidden profiles a channel; A' = A * g[c, ring]. Since the phase is kept,
    A' e^{iP} = X * g[c, ring]. The gate starts near 1 (bias 4, so g = 0.98).

    Args:
        channels: C.
        rings: B, equal-width rings up to the corner of the spectrum.
        multiplier: Hidden ring profiles a channel.
    """

    def __init__(self, channels: int, rings: int = 16, multiplier: int = 4) -> None:
        super().__init__()
        hidden = multiplier * channels
        self.rings = rings
        self.profile = nn.Conv1d(channels, hidden, 3, padding=1, groups=channels)
        self.gate = nn.Conv1d(hidden, channels, 3, padding=1, groups=channels)
        nn.init.normal_(self.gate.weight, std=1e-2)
        nn.init.constant_(self.gate.bias, 4.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape; the FFT runs in float32 under mixed precision."""
        if not torch.is_autocast_enabled(x.device.type):
            return self._gated(x)
        with torch.autocast(x.device.type, enabled=False):
            return self._gated(x.float()).to(x.dtype)

    def _gated(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        average, membership = ring_matrices(height, width, self.rings, x.device)
        spectrum = torch.fft.rfft2(x.contiguous(), norm="ortho")
        summary = torch.log1p(_safe_abs(spectrum)).flatten(-2) @ average
        hidden = F.gelu(along_rings(self.profile, summary.transpose(0, 1).unsqueeze(1)))
        gate = torch.sigmoid(along_rings(self.gate, hidden)).squeeze(1).transpose(0, 1)
        gated = spectrum * (gate @ membership).unflatten(-1, spectrum.shape[-2:])
        out: Tensor = torch.fft.irfft2(gated, s=(height, width), norm="ortho")
        return out


def along_rings(convolution: nn.Conv1d, profiles: Tensor) -> Tensor:
    """A grouped convolution of kernel 3 as one batched product: many tiny groups are slow as such.

    Args:
        convolution: With G groups of I input and O output channels.
        profiles: ``[G, I, B, R]``.

    Returns:
        ``[G, O, B, R]``.
    """
    groups, inputs, batch, rings = profiles.shape
    windows = (profiles.flatten(0, 2) @ ring_windows(rings, profiles.device)).view(
        groups, inputs, batch, 3, rings
    )
    windows = windows.transpose(2, 3).reshape(groups, 3 * inputs, batch * rings)
    weight = convolution.weight.view(groups, -1, 3 * inputs)
    assert convolution.bias is not None
    out = torch.baddbmm(convolution.bias.view(groups, -1, 1), weight, windows)
    return out.unflatten(-1, (batch, rings))  # type: ignore[no-any-return]


def _safe_abs(spectrum: Tensor) -> Tensor:
    """|X| with a finite gradient at 0."""
    parts = torch.view_as_real(spectrum)
    squares = parts * parts
    return (squares[..., 0] + squares[..., 1] + 1e-12).sqrt()


class FETBlock(nn.Module):
    """Spatial and frequency branches, fused, then a gated feed-forward; both residual.

    Args:
        channels: C.
        heads: Heads of the transposed attention.
        expansion: Of the gated feed-forward.
        rings: Of FESA.
        frequency_branch: False gives the plain Restormer block (ablation "RHM without FESA").
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        expansion: float = 2.66,
        rings: int = 16,
        frequency_branch: bool = True,
    ) -> None:
        super().__init__()
        self.norm_attention = ChannelLayerNorm(channels)
        self.spatial = TransposedAttention(channels, heads, project=not frequency_branch)
        self.frequency = self.fuse = None
        if frequency_branch:
            self.frequency = FrequencyEnhancedSelfAttention(channels, rings)
            self.fuse = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.norm_feed_forward = ChannelLayerNorm(channels)
        self.feed_forward = GatedFeedForward(channels, expansion)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        normed = self.norm_attention(x)
        if self.frequency is None or self.fuse is None:
            x = x + self.spatial(normed)
        else:
            # fuse(concatenation) as the sum of two products: the first closes the attention.
            spatial, frequency = self.fuse.weight.flatten(1).chunk(2, dim=1)
            branch = self.spatial(normed, spatial)
            x = x + add_mixed_planes(branch, frequency, self.frequency(normed))
        out: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return out


def add_mixed_planes(x: Tensor, matrix: Tensor, planes: Tensor) -> Tensor:
    """``x`` plus ``matrix`` over the channels of contiguous ``planes``, in the format of ``x``."""
    size = x.shape[-2:]
    matrices = matrix.to(planes.dtype).expand(len(planes), -1, -1)
    if is_channels_last(x):
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        out = torch.baddbmm(pixels, planes.flatten(2).mT, matrices.mT)
        result: Tensor = out.unflatten(1, size).permute(0, 3, 1, 2)
        return result
    flat: Tensor = torch.baddbmm(x.flatten(2), matrices, planes.flatten(2))
    return flat.unflatten(-1, size)  # type: ignore[no-any-return]
