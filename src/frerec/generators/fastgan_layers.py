"""The building blocks of FastGAN (Liu et al., ICLR 2021); every convolution spectrally normalised.

Spectral normalisation (Miyato et al., ICLR 2018) of all convolutions of both networks, their
N(0, 0.02) initialisation and their lack of biases are the authors' public code's. That code also
injects noise after convolutions; here it is left out, so that an image depends on its latents.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2  # of every leaky ReLU


def conv(inputs: int, outputs: int, size: int, *, stride: int = 1, padding: int = 0) -> nn.Module:
    """A spectrally normalised convolution without bias."""
    layer = nn.Conv2d(inputs, outputs, size, stride=stride, padding=padding, bias=False)
    nn.init.normal_(layer.weight, 0.0, 0.02)
    normalised: nn.Module = spectral_norm(layer)
    return normalised


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with weights near 1."""
    layer = nn.BatchNorm2d(channels)
    nn.init.normal_(layer.weight, 1.0, 0.02)
    return layer


class Start(nn.Module):
    """A vector [B, inputs] to the first map [B, channels, 4, 4]: transposed convolution and GLU."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        layer = nn.ConvTranspose2d(inputs, 2 * channels, 4, bias=False)
        nn.init.normal_(layer.weight, 0.0, 0.02)
        self.expand, self.norm = spectral_norm(layer), norm(2 * channels)

    def forward(self, vector: Tensor) -> Tensor:
        """[B, inputs] to [B, channels, 4, 4]."""
        return F.glu(self.norm(self.expand(vector[:, :, None, None])), dim=1)


class UpBlock(nn.Module):
    """Twice the side by nearest neighbours, then ``depth`` times convolution, norm and GLU.

    A gated linear unit (Dauphin et al., ICML 2017) is a * sigmoid(b) of the two halves of the
    channels. The public code alternates between a depth of 2 and of 1.
    """

    def __init__(self, inputs: int, outputs: int, *, depth: int) -> None:
        super().__init__()
        widths = [inputs, *[outputs] * (depth - 1)]
        self.convs = nn.ModuleList(conv(w, 2 * outputs, 3, padding=1) for w in widths)
        self.norms = nn.ModuleList(norm(2 * outputs) for _ in widths)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] to [B, outputs, 2H, 2W]."""
        x = F.interpolate(x, scale_factor=2.0)
        for layer, normalise in zip(self.convs, self.norms, strict=True):
            x = F.glu(normalise(layer(x)), dim=1)
        return x


class SkipLayerExcitation(nn.Module):
    """x_high times a gate of each channel made from x_low (equation 1 of the paper).

    The gate: ``x_low`` averaged to 4 x 4, a 4 x 4 convolution to 1 x 1, a leaky ReLU (the public
    code has Swish), a 1 x 1 convolution, a sigmoid. It links maps of any two sides at the cost of
    a few hundred products, where a skip connection would need equal shapes.
    """

    def __init__(self, low: int, high: int) -> None:
        super().__init__()
        self.squeeze, self.excite = conv(low, high, 4), conv(high, high, 1)

    def forward(self, x_low: Tensor, x_high: Tensor) -> Tensor:
        """[B, low, h, w] and [B, high, H, W] to the latter's shape."""
        squeezed = self.squeeze(F.adaptive_avg_pool2d(x_low, 4))
        gated: Tensor = x_high * self.excite(F.leaky_relu(squeezed, SLOPE)).sigmoid()
        return gated


class DownBlock(nn.Module):
    """Half the side: strided convolution, norm and leaky ReLU; with ``residual``, the full block.

    That one has a second convolution, and its output is the mean with a short path of average
    pooling and a 1 x 1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, residual: bool) -> None:
        super().__init__()
        main = [*_step(inputs, outputs, 4, stride=2)]
        if residual:
            main += _step(outputs, outputs, 3, stride=1)
        self.main = nn.Sequential(*main)
        self.short = nn.Sequential(conv(inputs, outputs, 1), norm(outputs)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] to [B, outputs, H/2, W/2]."""
        main: Tensor = self.main(x)
        if self.short is None:
            return main
        return (main + F.leaky_relu(self.short(F.avg_pool2d(x, 2)), SLOPE)) / 2.0


def _step(inputs: int, outputs: int, size: int, *, stride: int) -> list[nn.Module]:
    layer = conv(inputs, outputs, size, stride=stride, padding=1)
    return [layer, norm(outputs), nn.LeakyReLU(SLOPE)]


class Decoder(nn.Module):
    """A small decoder of a discriminator's features: [B, inputs, 8, 8] to an image in [-1, 1].

    Args:
        inputs: Channels of the features.
        channels: 1 or 3.
        side: Of the image, a power of two of at least 16.
        width: As the discriminator's.
    """

    def __init__(self, inputs: int, channels: int, *, side: int, width: int) -> None:
        super().__init__()
        blocks, size = [], 8
        while size < side:
            size *= 2
            outputs = max(width * {16: 4, 32: 2, 64: 2, 128: 1}[size] // 2, 4)
            blocks.append(UpBlock(inputs, outputs, depth=1))
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.to_image = conv(inputs, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs, 8, 8] to [B, channels, side, side]."""
        image: Tensor = self.to_image(self.blocks(features)).tanh()
        return image
