"""The ortho-normalised half-plane FFT, with the same bits for an image in every batch."""

import torch
from torch import Tensor


def forward_fft(images: Tensor) -> Tensor:
    """``rfft2`` with ``norm="ortho"``: real ``[B, C, H, W]`` to complex ``[B, C, H, W // 2 + 1]``.

    On a CPU the images are transformed one by one: the library's batched transforms differ in the
    last bit with the size of the batch, and an image has to give the same pixels in all of them.
    """
    whole = images.device.type != "cpu" or len(images) <= 1
    parts = [images] if whole else [image.clone() for image in images.split(1)]
    return torch.cat([torch.fft.rfft2(part, norm="ortho") for part in parts])


def inverse_fft(spectrum: Tensor, height: int, width: int) -> Tensor:
    """``irfft2`` with ``norm="ortho"``, back to real ``[B, C, height, width]``; see above."""
    size = (height, width)
    whole = spectrum.device.type != "cpu" or len(spectrum) <= 1
    parts = [spectrum] if whole else [part.clone() for part in spectrum.split(1)]
    return torch.cat([torch.fft.irfft2(part, s=size, norm="ortho") for part in parts])
