"""Restormer's building blocks (Zamir et al., CVPR 2022), written from the paper's equations."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelLayerNorm(nn.Module):
    """Bias-free layer normalisation over the channels of each pixel.

    Divides by the standard deviation and scales, without subtracting the mean (the bias-free form
    of Restormer, which keeps the network's response homogeneous in contrast).
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        # Not x.var(dim=1): on a CPU the two means are several times faster.
        variance = (x - x.mean(dim=1, keepdim=True)).square().mean(dim=1, keepdim=True)
        return x * torch.rsqrt(variance + self.eps) * self.weight[:, None, None]


class TransposedAttention(nn.Module):
    """Multi-Dconv head transposed attention (MDTA): attention across channels.

    Q, K, V come from a 1x1 and a depthwise 3x3 convolution; with Q and K normalised along the
    pixels, ``V softmax(K Q^T / alpha)`` costs O(C^2 HW) instead of O(C (HW)^2).

    Args:
        channels: C, divisible by ``heads``.
        heads: Number of heads, each with a learned temperature.
        project: False leaves the closing 1x1 convolution to the caller.
    """

    def __init__(self, channels: int, heads: int, *, project: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_local = nn.Conv2d(
            3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        batch, channels, height, width = x.shape
        q, k, v = self.qkv_local(self.qkv(x)).chunk(3, dim=1)
        shape = (batch, self.heads, channels // self.heads, height * width)
        q = F.normalize(q.reshape(shape), dim=-1)
        k = F.normalize(k.reshape(shape), dim=-1)
        attention = (q @ k.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        out = (attention @ v.reshape(shape)).reshape(batch, channels, height, width)
        projected: Tensor = self.project(out)
        return projected


class GatedFeedForward(nn.Module):
    """Gated-Dconv feed-forward network (GDFN): ``W (gelu(a) * b)`` with depthwise a, b.

    Args:
        channels: C.
        expansion: Hidden width as a multiple of C, 2.66 in the Restormer paper.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.local = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        gate, value = self.local(self.expand(x)).chunk(2, dim=1)
        out: Tensor = self.project(F.gelu(gate) * value)
        return out


class Downsample(nn.Sequential):
    """Halve the sides and double the channels: 3x3 convolution, then pixel-unshuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False), nn.PixelUnshuffle(2)
        )


class Upsample(nn.Sequential):
    """Double the sides and halve the channels: 3x3 convolution, then pixel-shuffle."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels * 2, 3, padding=1, bias=False), nn.PixelShuffle(2)
        )
