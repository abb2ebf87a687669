"""The frequency-enhanced transformer (FET) block of FreRec's RHM (arXiv 2511.12301).

Two branches read the same normalised features: the global spatial branch is Restormer's
transposed attention, the local frequency branch is FESA. They are concatenated, fused by a 1x1
convolution (which takes the place of the attention's own projection) and added to the input; a
gated feed-forward follows, as in Restormer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frerec.networks.layers import ChannelLayerNorm, GatedFeedForward, TransposedAttention
from frerec.spectral.bands import hermitian_weight, ring_index


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
        self._maps: dict[tuple[int, int, torch.device], tuple[Tensor, Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape; the FFT runs in float32 under mixed precision."""
        height, width = x.shape[-2:]
        ring, average = self._ring_maps(height, width, x.device)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.fft.rfft2(x.float(), norm="ortho")
            amplitude = _safe_abs(spectrum)
            summary = torch.log1p(amplitude).flatten(-2) @ average
            gate = torch.sigmoid(self.gate(F.gelu(self.profile(summary))))
            gated = spectrum * gate[..., ring].unflatten(-1, spectrum.shape[-2:])
            out = torch.fft.irfft2(gated, s=(height, width), norm="ortho")
        result: Tensor = out.to(x.dtype)
        return result

    def _ring_maps(self, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
        key = (height, width, device)
        if key not in self._maps:
            ring = ring_index(height, width, self.rings).flatten()
            average = torch.zeros(ring.numel(), self.rings, dtype=torch.float64)
            average[torch.arange(ring.numel()), ring] = hermitian_weight(height, width).flatten()
            average = average / average.sum(0, keepdim=True).clamp_min(1.0)
            self._maps[key] = (ring.to(device), average.float().to(device))
        return self._maps[key]


def _safe_abs(spectrum: Tensor) -> Tensor:
    """|X| with a finite gradient at 0."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


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
        branch = self.spatial(normed)
        if self.frequency is not None and self.fuse is not None:
            branch = self.fuse(torch.cat([branch, self.frequency(normed)], dim=1))
        x = x + branch
        out: Tensor = x + self.feed_forward(self.norm_feed_forward(x))
        return out
