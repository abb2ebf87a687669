"""The losses of FastGAN: hinge, and the reconstruction that keeps its discriminator honest."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

SCALES = 3  # of the pyramid loss


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))] of scores of any shape; a scalar."""
    return F.relu(1.0 - real.float()).mean() + F.relu(1.0 + fake.float()).mean()


def hinge_generator(fake: Tensor) -> Tensor:
    """-E[D(fake)]; a scalar."""
    return -fake.float().mean()


def l1_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of images; a scalar."""
    return F.l1_loss(output.float(), target.float())


def pyramid_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of pixels and of their gradients at three scales [ours].

    At each scale: the L1 distance of the images plus that of the differences between neighbours
    in rows and in columns, which asks for edges where L1 alone is content with a blur. Scales are
    halved by averaging. The mean over scales.

    Args:
        output: Floats [B, C, H, W], sides of at least 8.
        target: The same shape.

    Returns:
        A scalar.
    """
    difference, total = output.float() - target.float(), output.new_zeros(()).float()
    # All is linear up to the absolute value, so the difference alone is pooled and differenced.
    for scale in range(SCALES):
        if scale:
            difference = F.avg_pool2d(difference, 2)
        total = total + difference.abs().mean()
        total = total + difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean()
    return total / SCALES


RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "pyramid": pyramid_loss,
    "l1": l1_loss,
}
