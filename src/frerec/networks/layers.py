"""Restormer's building blocks (Zamir et al., CVPR 2022), written from the paper's equations.

All of them take and return ``[B, C, H, W]`` in either memory format, and keep that format: in
channels-last the depthwise convolutions are several times faster on a CPU.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ALIGNMENT = 8  # widths that 8 does not divide are slow in matrix products of any processor


class ChannelLayerNorm(nn.Module):
    """Bias-free layer normalisation over the channels of each pixel.

    Divides by the standard deviation and scales, without subtracting the mean (the bias-free form
    of Restormer, which keeps the network's response homogeneous in contrast). Half-precision
    (float16) features are normalised in float32: the square of one beyond 255 is infinite there.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        dtype = torch.promote_types(x.dtype, self.weight.dtype)
        if x.dtype == torch.float16:
            x = x.float()
        # Not x.var(dim=1): on a CPU the two means are several times faster.
        variance = (x - x.mean(dim=1, keepdim=True)).square().mean(dim=1, keepdim=True)
        normed = x * torch.rsqrt(variance + self.eps) * self.weight[:, None, None]
        return normed.to(dtype)


def mix_channels(matrix: Tensor, x: Tensor) -> Tensor:
    """A matrix product over the channels, with a matrix of its own for every image.

    Args:
        matrix: ``[B, O, C]``, or ``[O, C]`` for all images.
        x: ``[B, C, H, W]``, in channels-last also a slice of the channels of a wider tensor.

    Returns:
        ``[B, O, H, W]`` in the memory format of ``x``.
    """
    if is_channels_last(x):
        pixels: Tensor = x.permute(0, 2, 3, 1).flatten(1, 2) @ matrix.mT
        mixed: Tensor = pixels.unflatten(1, x.shape[-2:])
        return mixed.permute(0, 3, 1, 2)
    planes: Tensor = matrix @ x.flatten(2)
    return planes.view(*planes.shape[:2], *x.shape[-2:])


def is_channels_last(x: Tensor) -> bool:
    """Whether the channels of a pixel lie side by side (and those of a row do not)."""
    return x.stride(1) == 1 and x.shape[1] > 1 and x.stride(3) > 1


class TransposedAttention(nn.Module):
    """Multi-Dconv head transposed attention (MDTA): attention across channels.

    Q, K, V come from a 1x1 and a depthwise 3x3 convolution; with Q and K normalised along the
    pixels, ``W V softmax(K Q^T / alpha)`` costs O(C^2 HW) instead of O(C (HW)^2). The closing 1x1
    convolution W is multiplied with the small attention matrix first, which saves one product
    over all pixels.

    Args:
        channels: C, divisible by ``heads``.
        heads: Number of heads, each with a learned temperature.
        project: False leaves the closing 1x1 convolution to the caller, who hands it to
            :meth:`forward`.
    """

    def __init__(self, channels: int, heads: int, *, project: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.qkv_local = nn.Conv2d(
            3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False) if project else None

    def forward(self, x: Tensor, projection: Tensor | None = None) -> Tensor:
        """``[B, C, H, W]`` to the same shape.

        Args:
            x: Features.
            projection: Weights ``[C, C]`` of the closing 1x1 convolution, needed where the module
                has none of its own.
        """
        q, k, v = self.qkv_local(self.qkv(x)).chunk(3, dim=1)
        attention = self._attention(q, k).to(v.dtype)
        weight = projection if self.project is None else self.project.weight.flatten(1)
        assert weight is not None, "project=False needs a projection"
        by_head = weight.unflatten(1, (self.heads, -1)).transpose(0, 1)  # [h, O, C / h]
        return mix_channels((by_head @ attention).transpose(1, 2).flatten(2), v)

    def _attention(self, q: Tensor, k: Tensor) -> Tensor:
        """softmax(temperature * cosine of every two channels of a head): ``[B, h, C/h, C/h]``."""
        q, k = (t.flatten(2).unflatten(1, (self.heads, -1)) for t in (q, k))
        if q.dtype == torch.float16:  # its largest number is too small for a sum over pixels
            q, k = F.normalize(q.float(), dim=-1).half(), F.normalize(k.float(), dim=-1).half()
            return (q @ k.mT * self.temperature).softmax(dim=-1)
        norms = [_norm(t).clamp_min(1e-12) for t in (q, k)]
        cosine = (q @ k.mT).float() / norms[0] / norms[1].mT
        return (cosine * self.temperature).softmax(dim=-1)


def _norm(x: Tensor) -> Tensor:
    """Euclidean norm along the last dimension, in float32, kept as a dimension."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return norm


class GatedFeedForward(nn.Module):
    """Gated-Dconv feed-forward network (GDFN): ``W (gelu(a) * b)`` with depthwise a, b.

    The hidden width, often odd by the paper's expansion, is filled up at use with channels of
    zeros to a multiple of 8: the same result and parameters, and faster products.

    Args:
        channels: C.
        expansion: Hidden width as a multiple of C, 2.66 in the Restormer paper.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.filling = -hidden % ALIGNMENT
        self.expand = nn.Conv2d(channels, 2 * hidden, 1, bias=False)
        self.local = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False)
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the same shape."""
        expand, local = self._filled(self.expand.weight), self._filled(self.local.weight)
        both = F.conv2d(F.conv2d(x, expand), local, padding=1, groups=len(local))
        gate, value = both.chunk(2, dim=1)
        project = F.pad(self.project.weight, (0, 0, 0, 0, 0, self.filling))
        return F.conv2d(F.gelu(gate) * value, project)

    def _filled(self, weight: Tensor) -> Tensor:
        """Zeros after the gate's and after the value's output channels."""
        if self.filling == 0:
            return weight
        halves = weight.unflatten(0, (2, -1))
        return F.pad(halves, (0, 0, 0, 0, 0, 0, 0, self.filling)).flatten(0, 1)


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
