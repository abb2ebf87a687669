"""MONAI's diffusion UNet behind an invertible folding of pixels into channels."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from monai.networks.nets.diffusion_model_unet import DiffusionModelUNet
from torch import Tensor, nn

from frerec.errors import ConfigError

PATCHES = (1, 2, 4)


class PatchedUNet(nn.Module):
    """A UNet that sees each ``patch`` x ``patch`` square of pixels as one position.

    Folding (``pixel_unshuffle``) loses nothing and makes the network about ``patch`` squared times
    cheaper (Hoogeboom et al., "simple diffusion", ICML 2023). The price is in the high band: what
    lies within a square is one convolution's work, so a network trained for a short time leaves
    noise and a weak grid there, which is the misalignment that FreRec repairs.

    Args:
        channels: 1 or 3.
        num_labels: Labels to be told apart, the empty one included.
        image_size: In pixels; a multiple of ``patch`` times 2 to the number of halvings.
        widths: Channels of each resolution, the finest first.
        attention: For each resolution, whether it attends to itself; the middle always does.
        res_blocks: Residual blocks a resolution.
        head_channels: Channels of an attention head.
        norm_groups: Groups of the normalisation.
        patch: 1, 2 or 4.

    Raises:
        ConfigError: If an argument does not fit; the message names it.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_labels: int,
        image_size: int,
        widths: Sequence[int],
        attention: Sequence[bool],
        res_blocks: int,
        head_channels: int,
        norm_groups: int,
        patch: int,
    ) -> None:
        super().__init__()
        check_network(
            image_size=image_size,
            widths=widths,
            attention=attention,
            res_blocks=res_blocks,
            head_channels=head_channels,
            norm_groups=norm_groups,
            patch=patch,
        )
        self.patch = patch
        folded = channels * patch**2
        self.unet = DiffusionModelUNet(
            spatial_dims=2,
            in_channels=folded,
            out_channels=folded,
            num_res_blocks=res_blocks,
            channels=tuple(widths),
            attention_levels=tuple(attention),
            norm_num_groups=norm_groups,
            num_head_channels=head_channels,
            num_class_embeds=num_labels,
            use_combined_linear=True,
            use_flash_attention=True,
        )

    def forward(self, noisy: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """X_t [n, C, H, W], times and labels int64 [n] to the prediction [n, C, H, W]."""
        folded = F.pixel_unshuffle(noisy, self.patch)
        return F.pixel_shuffle(self.unet(folded, times, class_labels=labels), self.patch)


def check_network(
    *,
    image_size: int,
    widths: Sequence[int],
    attention: Sequence[bool],
    res_blocks: int,
    head_channels: int,
    norm_groups: int,
    patch: int,
) -> None:
    """Refuse what MONAI's UNet cannot be built of, in one line.

    Raises:
        ConfigError: Names the argument.
    """
    for key, value in (
        ("res_blocks", res_blocks),
        ("head_channels", head_channels),
        ("norm_groups", norm_groups),
    ):
        if value < 1:
            raise ConfigError(f"generator {key}={value}: expected an integer of at least 1")
    if patch not in PATCHES:
        raise ConfigError(f"generator patch={patch}: expected 1, 2 or 4")
    if not widths or any(width < 1 or width % norm_groups for width in widths):
        raise ConfigError(
            f"generator widths={list(widths)}: expected multiples of norm_groups={norm_groups},"
            " one a resolution"
        )
    if len(attention) != len(widths):
        raise ConfigError(
            f"generator attention={list(attention)}: expected true or false for each of the"
            f" {len(widths)} widths"
        )
    attending = [w for w, on in zip(widths, attention, strict=True) if on] + [widths[-1]]
    if any(width % head_channels for width in attending):
        raise ConfigError(
            f"generator head_channels={head_channels}: expected a divisor of the widths that"
            f" attend, {', '.join(map(str, sorted(set(attending))))}"
        )
    unit = patch * 2 ** (len(widths) - 1)
    if image_size < unit or image_size % unit:
        raise ConfigError(
            f"generator image_size={image_size}: patch={patch} and {len(widths)} widths need a"
            f" multiple of {unit}; set data.image_size={max(round(image_size / unit), 1) * unit}"
        )
