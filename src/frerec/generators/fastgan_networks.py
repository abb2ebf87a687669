"""FastGAN's generator and discriminator, told the class, at 64, 128 or 256 px."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from frerec.generators.fastgan_layers import (
    SLOPE,
    Decoder,
    DownBlock,
    SkipLayerExcitation,
    Start,
    UpBlock,
    conv,
    norm,
)

SIDES = (64, 128, 256)  # images that the networks are laid out for
CLASS_DIM = 32  # size of the generator's class embedding
WIDTHS = {4: 16, 8: 8, 16: 4, 32: 2, 64: 2, 128: 1, 256: 0.5}  # generator's channels / width
DEPTHS = {8: 2, 16: 1, 32: 2, 64: 1, 128: 2, 256: 1}  # convolutions at a side


class Images(NamedTuple):
    """The two sizes that a generator makes and a discriminator sees, in [-1, 1]."""

    full: Tensor  # [B, C, S, S]
    half: Tensor  # [B, C, S/2, S/2]


class GeneratorNetwork(nn.Module):
    """Latents and labels to images, from 4 x 4 up, with skip-layer excitations.

    The paper at 1024 px excites the maps of 128, 256 and 512 px by those of 8, 16 and 32 px (its
    code also 64 by 4); at 64, 128 and 256 px the same factor of 16 leaves 4 to 64, 8 to 128 and
    16 to 256, as far as the side goes. The paper's second, small image has 128 px; here it has
    half the side, which is 128 at 256 px. The class embedding beside the latents is [ours].

    Args:
        channels: 1 or 3.
        num_classes: Number of classes.
        image_size: 64, 128 or 256.
        latent_dim: Numbers of a latent vector.
        width: Channels at 128 px; 64 in the paper.
    """

    def __init__(
        self, *, channels: int, num_classes: int, image_size: int, latent_dim: int, width: int
    ) -> None:
        super().__init__()
        self.embed = nn.Embedding(num_classes, CLASS_DIM)
        self.start = Start(latent_dim + CLASS_DIM, _channels(4, width))
        sides = [side for side in WIDTHS if 8 <= side <= image_size]
        self.ups = nn.ModuleDict(
            {
                str(s): UpBlock(_channels(s // 2, width), _channels(s, width), depth=DEPTHS[s])
                for s in sides
            }
        )
        self.excitations = nn.ModuleDict(
            {
                str(s): SkipLayerExcitation(_channels(s // 16, width), _channels(s, width))
                for s in sides
                if s >= 64
            }
        )
        self.to_half = conv(_channels(image_size // 2, width), channels, 1)
        self.to_full = conv(_channels(image_size, width), channels, 3, padding=1)

    def forward(self, latents: Tensor, labels: Tensor) -> Images:
        """Latents [B, latent_dim] of N(0, I) and labels int64 [B] to images in [-1, 1]."""
        x = self.start(torch.cat([latents, self.embed(labels)], 1))
        maps = {4: x}
        for key, up in self.ups.items():
            x, side = up(x), int(key)
            if key in self.excitations:
                x = self.excitations[key](maps[side // 16], x)
            maps[side] = x
        return Images(self.to_full(x).tanh(), self.to_half(maps[side // 2]).tanh())


def _channels(side: int, width: int) -> int:
    return max(int(width * WIDTHS[side]), 4)


class Verdict(NamedTuple):
    """What the discriminator says of images."""

    scores: Tensor  # [B, 2 * 25]: of places of both sizes; high for real
    whole: Tensor  # features of the whole image [B, ., 8, 8]
    fine: Tensor  # features before them [B, ., 16, 16]
    half: Tensor  # features of the small image [B, ., 8, 8]


class DiscriminatorNetwork(nn.Module):
    """Images of both sizes to scores, by projection on the class, and to features to decode.

    Every map of 64 px or more excites the one an eighth of its side, as in the public code, where
    these are 256 to 32, 128 to 16 and 64 to 8. The projection (Miyato and Koyama, ICLR 2018) adds
    the inner product of a class embedding and the mean features to the scores [ours]. The heads
    also see how much the images of a class differ in this batch [ours], because without it the
    generator's images of a class soon look alike.

    Args:
        channels: 1 or 3.
        num_classes: Number of classes.
        image_size: 64, 128 or 256.
        width: Channels at 64 px; 64 in the paper.
    """

    def __init__(self, *, channels: int, num_classes: int, image_size: int, width: int) -> None:
        super().__init__()
        self.stem = conv(channels, _width(64 * width, image_size), 3, padding=1)
        sides = [side for side in (128, 64, 32, 16, 8) if side < image_size]
        self.downs = nn.ModuleDict(
            {
                str(s): DownBlock(_width(32 * width, s), _width(64 * width, s), residual=True)
                for s in sides
            }
        )
        self.excitations = nn.ModuleDict(
            {
                str(s): SkipLayerExcitation(_width(8 * width, s), _width(64 * width, s))
                for s in sides
                if 64 <= 8 * s <= image_size
            }
        )
        half = image_size // 2
        self.half_stem = conv(channels, _width(64 * width, half), 4, stride=2, padding=1)
        self.half_downs = nn.Sequential(
            *(
                DownBlock(_width(16 * width, s), _width(32 * width, s), residual=False)
                for s in sides
                if s < half // 2
            )
        )
        whole, fine, small = 8 * width, 4 * width, 4 * width
        self.head = nn.Sequential(
            conv(whole + 1, 2 * whole, 1),
            norm(2 * whole),
            nn.LeakyReLU(SLOPE),
            conv(2 * whole, 1, 4),
        )
        self.half_head = conv(small + 1, 1, 4)
        self.project = spectral_norm(nn.Embedding(num_classes, whole))
        self.half_project = spectral_norm(nn.Embedding(num_classes, small))
        self.decode_whole = Decoder(whole, channels, side=half, width=width)
        self.decode_part = Decoder(fine, channels, side=half, width=width)
        self.decode_half = Decoder(small, channels, side=half, width=width)

    def forward(self, images: Images, labels: Tensor) -> Verdict:
        """Judge images in [-1, 1], of both sizes, as images of these labels int64 [B]."""
        x = F.leaky_relu(self.stem(images.full), SLOPE)
        maps = {x.shape[-1]: x}
        for key, down in self.downs.items():
            x, side = down(x), int(key)
            if key in self.excitations:
                x = self.excitations[key](maps[8 * side], x)
            maps[side] = x
        small = self.half_downs(F.leaky_relu(self.half_stem(images.half), SLOPE))
        scores = self.head(_with_spread(x, labels)).flatten(1)
        scores = scores + _project(self.project(labels), x)
        half_scores = self.half_head(_with_spread(small, labels)).flatten(1)
        half_scores = half_scores + _project(self.half_project(labels), small)
        return Verdict(torch.cat([scores, half_scores], 1), x, maps[16], small)

    def reconstruct(self, verdict: Verdict, quadrant: int) -> tuple[Tensor, Tensor, Tensor]:
        """The whole image, one quadrant and the small image, each [B, C, S/2, S/2] in [-1, 1].

        Args:
            verdict: Of real images.
            quadrant: 0 upper left, 1 upper right, 2 lower left, 3 lower right.
        """
        part = crop_quadrant(verdict.fine, quadrant)
        return (
            self.decode_whole(verdict.whole),
            self.decode_part(part),
            self.decode_half(verdict.half),
        )


def _width(numerator: int, side: int) -> int:
    return max(numerator // side, 4)


def _project(embedded: Tensor, features: Tensor) -> Tensor:
    """Inner product of [B, d] with the mean over places of [B, d, H, W]: [B, 1]."""
    return (embedded * features.mean((2, 3))).sum(1, keepdim=True)


def _with_spread(features: Tensor, labels: Tensor) -> Tensor:
    """Features [B, C, H, W] and one more channel: :func:`class_spread`."""
    spread = class_spread(features, labels)[:, None, None, None]
    return torch.cat([features, spread.to(features.dtype).expand(-1, 1, *features.shape[2:])], 1)


def class_spread(features: Tensor, labels: Tensor) -> Tensor:
    """Standard deviation of features over the batch's images of the same class, float32 [B].

    The mean over all channels and places, the same for all images of a class: minibatch standard
    deviation (Karras et al., ICLR 2018), here within classes [ours], so that differences between
    classes do not pass for variety. An image alone in its class has (almost) 0.
    """
    with torch.autocast(features.device.type, enabled=False):
        flat = features.flatten(1).float()
        same = (labels[:, None] == labels).float()
        share = same / same.sum(1, keepdim=True)
        variance = share @ (flat - share @ flat).square()
        return (variance + 1e-6).sqrt().mean(1)


def crop_quadrant(images: Tensor, quadrant: int) -> Tensor:
    """Quadrant 0 to 3, row by row, of [B, C, H, W]: [B, C, H/2, W/2]."""
    height, width = images.shape[-2] // 2, images.shape[-1] // 2
    top, left = quadrant // 2 * height, quadrant % 2 * width
    return images[..., top : top + height, left : left + width]


def both_sizes(full: Tensor) -> Images:
    """Real images [B, C, S, S] with their halves, averaged over 2 x 2 pixels [ours].

    The public code takes every second pixel, which aliases.
    """
    return Images(full, F.avg_pool2d(full, 2))
