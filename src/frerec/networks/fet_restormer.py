"""FETRestormer: the denoising autoencoder of FreRec's RHM (arXiv 2511.12301).

Restormer's four-level encoder-decoder (Zamir et al., CVPR 2022) with FET-blocks for transformer
blocks, and Restormer's global residual: the network learns a correction of its input.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from frerec.errors import ConfigError, DataError
from frerec.networks.fet import FETBlock
from frerec.networks.layers import Downsample, Upsample


@dataclass(frozen=True)
class Preset:
    """Sizes of a network; the fields are the arguments of :class:`FETRestormer`."""

    width: int
    blocks: tuple[int, ...]
    refinement: int
    heads: tuple[int, ...]
    expansion: float
    patch: int = 1


# `base` is the paper's network with Restormer's widths; `lite` is ours, for a CPU.
PRESETS = {
    "base": Preset(48, (2, 4, 6, 8), 2, (1, 2, 4, 8), 2.66),
    "lite": Preset(16, (1, 1, 1, 2), 1, (1, 2, 4, 8), 2.0, patch=2),
}


class FETRestormer(nn.Module):
    """Encoder-decoder of FET-blocks with skip connections and a global residual.

    Args:
        channels: 1 or 3 image channels.
        width: Channels of the first level, doubled at each further one.
        blocks: FET-blocks of each level; the last entry is the bottleneck.
        refinement: FET-blocks after the decoder, at full resolution.
        heads: Attention heads of each level.
        expansion: Of the gated feed-forward.
        patch: Side of the pixel-unshuffle in front of the network, which moves every patch of
            pixels into channels without loss; 1 in the paper's network, 2 quarters the cost.
        rings: Of FESA.
        frequency_branch: False leaves FESA out (ablation).
        channels_last: Keep the features in channels-last memory: the same numbers up to rounding.
            On one CPU core `lite` at 128 px takes 0.8 times as long with it (a batch of 1 or 8),
            `base` 0.9 to 1.0 times; not measured on a GPU.
        checkpoint_gradients: Keep only the input of each FET-block for the backward pass and
            compute the block again there: less memory, a forward pass more, the same gradients.
    """

    def __init__(
        self,
        channels: int = 1,
        *,
        width: int = 48,
        blocks: Sequence[int] = (2, 4, 6, 8),
        refinement: int = 2,
        heads: Sequence[int] = (1, 2, 4, 8),
        expansion: float = 2.66,
        patch: int = 1,
        rings: int = 16,
        frequency_branch: bool = True,
        channels_last: bool = True,
        checkpoint_gradients: bool = False,
    ) -> None:
        super().__init__()
        self.channels_last, self.checkpoint_gradients = channels_last, checkpoint_gradients
        if len(blocks) != len(heads) or len(blocks) < 2:
            raise ConfigError(
                f"blocks={list(blocks)}, heads={list(heads)}: expected one entry a level each, "
                "for at least two levels"
            )
        widths = [width * 2**level for level in range(len(blocks))]
        for level_width, level_heads in zip(widths, heads, strict=True):
            if level_width % level_heads or level_width % 2:
                raise ConfigError(f"width={width}: {level_width} channels in {level_heads} heads")

        def stage(level_width: int, level_heads: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *(
                    FETBlock(
                        level_width,
                        level_heads,
                        expansion=expansion,
                        rings=rings,
                        frequency_branch=frequency_branch,
                    )
                    for _ in range(count)
                )
            )

        levels = range(len(blocks) - 1)
        self.multiple = patch * 2 ** (len(blocks) - 1)
        self.unshuffle = nn.PixelUnshuffle(patch)
        self.embed = nn.Conv2d(channels * patch**2, width, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList(stage(widths[i], heads[i], blocks[i]) for i in levels)
        self.down = nn.ModuleList(Downsample(widths[i]) for i in levels)
        self.bottleneck = stage(widths[-1], heads[-1], blocks[-1])
        self.up = nn.ModuleList(Upsample(widths[i + 1]) for i in levels)
        # At level 1 the concatenated skip is kept at twice the width, as in Restormer.
        self.reduce = nn.ModuleList(
            nn.Identity() if i == 0 else nn.Conv2d(2 * widths[i], widths[i], 1, bias=False)
            for i in levels
        )
        self.decoder = nn.ModuleList(
            stage(2 * widths[0] if i == 0 else widths[i], heads[i], blocks[i]) for i in levels
        )
        self.refinement = stage(2 * width, heads[0], refinement)
        self.output = nn.Conv2d(2 * width, channels * patch**2, 3, padding=1, bias=False)
        self.shuffle = nn.PixelShuffle(patch)
        nn.init.zeros_(self.output.weight)  # training starts from the identity [ours]

    @classmethod
    def preset(cls, name: str, channels: int = 1, **options: bool) -> Self:
        """``base``, the paper's network (27.0 M parameters), or ``lite``, for a CPU [ours].

        Args:
            name: Of the preset.
            channels: 1 or 3 image channels.
            options: ``frequency_branch``, ``channels_last``, ``checkpoint_gradients``.

        Raises:
            ConfigError: If the name is neither.
        """
        if name not in PRESETS:
            raise ConfigError(f"network={name}: expected one of {', '.join(PRESETS)}")
        arguments: dict[str, Any] = {**asdict(PRESETS[name]), **options}
        return cls(channels, **arguments)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct ``[B, C, H, W]`` of any size.

        Sides are padded by reflection to a multiple of 8 (16 for ``lite``) and cropped back.

        Raises:
            DataError: If ``images`` does not have four dimensions.
        """
        if images.ndim != 4:
            raise DataError(f"images of shape {tuple(images.shape)}: expected [B, C, H, W]")
        height, width = images.shape[-2:]
        padded = pad_to_multiple(images, self.multiple)
        out = padded + self._correction(padded)
        return out[..., :height, :width]

    def _correction(self, x: Tensor) -> Tensor:
        x = self.unshuffle(x)
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.embed(x)
        skips = []
        for encode, down in zip(self.encoder, self.down, strict=True):
            x = self._stage(encode, x)
            skips.append(x)
            x = down(x)
        x = self._stage(self.bottleneck, x)
        for level in reversed(range(len(self.decoder))):
            x = torch.cat([self.up[level](x), skips[level]], dim=1)
            x = self._stage(self.decoder[level], self.reduce[level](x))
        out: Tensor = self.shuffle(self.output(self._stage(self.refinement, x)))
        return out

    def _stage(self, blocks: nn.Module, x: Tensor) -> Tensor:
        """A stage's blocks in turn, each computed again in the backward pass where asked for."""
        again = self.checkpoint_gradients and torch.is_grad_enabled()
        for block in blocks.children():
            # Nothing in a block is random, so there is no state of a generator to keep.
            x = (
                checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
                if again
                else block(x)
            )
        return x


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pad the right and lower edges by reflection until ``multiple`` divides both sides.

    Images too small to be reflected that far are padded by repeating the edge.
    """
    height, width = images.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if bottom == 0 and right == 0:
        return images
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, bottom), mode=mode)
