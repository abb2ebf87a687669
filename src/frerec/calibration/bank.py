"""The bank of real images: who may be whose neighbour, and the spectra to take statistics of."""

import hashlib

import torch
from torch import Tensor, nn

from frerec.calibration.base import Groups, group_codes
from frerec.errors import ConfigError, DataError


def content_keys(images: Tensor) -> Tensor:
    """A number per image that depends on its pixels alone (at 16 bits) and on its size.

    Args:
        images: ``[B, C, H, W]`` in [0, 1].

    Returns:
        int64 ``[B]``, on the CPU.
    """
    levels = (images.detach().clamp(0, 1) * 65535).round().to(torch.int32).cpu().numpy()
    shape = str(tuple(images.shape[1:])).encode()
    digests = (
        hashlib.blake2b(level.tobytes(), digest_size=8, key=shape).digest() for level in levels
    )
    keys = [int.from_bytes(digest, "little", signed=True) for digest in digests]
    return torch.tensor(keys, dtype=torch.long)


class RealBank(nn.Module):
    """Real training images with their patients, kept for retrieval.

    Buffers: ``images`` uint8 or int32 ``[N, C, H, W]`` (8-bit images stay exact, others at 16
    bits), ``groups`` int64 ``[N]``, and the identity of every image of the fit, ``known_keys`` and
    ``known_groups`` int64 ``[M]``. M exceeds N when ``bank_size`` leaves images out: those are
    not neighbours, but their patients' images must still not be neighbours of them.
    """

    images: Tensor
    groups: Tensor
    known_keys: Tensor
    known_groups: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.allocate(count=0, known=0, shape=(1, 0, 0), dtype=torch.uint8)

    def allocate(
        self, *, count: int, known: int, shape: tuple[int, int, int], dtype: torch.dtype
    ) -> None:
        """Empty buffers of a given size, to be filled by a fit or by ``load_state_dict``."""
        self.register_buffer("images", torch.zeros(count, *shape, dtype=dtype))
        self.register_buffer("groups", torch.zeros(count, dtype=torch.long))
        self.register_buffer("known_keys", torch.zeros(known, dtype=torch.long))
        self.register_buffer("known_groups", torch.zeros(known, dtype=torch.long))

    def __len__(self) -> int:
        return len(self.images)

    def fill(self, images: Tensor, groups: Groups, *, size: int | None, seed: int) -> None:
        """Take in real images ``[N, C, H, W]``, at most ``size`` of them drawn at random [ours]."""
        codes = group_codes(groups, len(images))
        rows = torch.arange(len(images))
        if size is not None and size < len(images):
            generator = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(images), generator=generator)[:size].sort().values
        device = self.images.device
        self.images = _quantise(images[rows.to(images.device)]).to(device)
        self.groups = codes[rows].to(device)
        self.known_keys = content_keys(images).to(device)
        self.known_groups = codes.to(device)

    def pixels(self) -> Tensor:
        """All images as float32 ``[N, C, H, W]`` in [0, 1]."""
        scale = 255.0 if self.images.dtype == torch.uint8 else 65535.0
        return self.images.float() / scale

    def exclusion(self, images: Tensor) -> Tensor | None:
        """Leave-one-out: which bank images may not be neighbours of these images.

        An image that took part in the fit must not find itself, nor another image of its
        patient, because a test image cannot either. It is recognised by its content.

        Returns:
            bool ``[B, N]``, or None where nothing is excluded.
        """
        keys = content_keys(images).to(self.known_keys.device)
        same = keys[:, None] == self.known_keys[None, :]
        known = same.any(1)
        if not bool(known.any()):
            return None
        excluded = torch.zeros(len(images), len(self), dtype=torch.bool, device=same.device)
        # Byte-identical images may belong to several patients: all of them are excluded.
        for row in known.nonzero().flatten().tolist():
            patients = self.known_groups[same[row]]
            excluded[row] = torch.isin(self.groups, patients)
        return excluded

    def check_size(self, images: Tensor) -> None:
        """Refuse images that are not of the size of the fit."""
        if len(self) == 0:
            raise ConfigError("calibrator is not fitted: call fit(real_images) or load(directory)")
        if images.shape[1:] != self.images.shape[1:]:
            c, h, w = self.images.shape[1:]
            raise DataError(
                f"images of shape {tuple(images.shape[1:])}: the calibrator was fitted on "
                f"[{c}, {h}, {w}]; resize or convert them first (data.image_size, data.channels)"
            )


def _quantise(images: Tensor) -> Tensor:
    """uint8 where that is exact, 16-bit levels otherwise."""
    levels = images * 255
    rounded = levels.round()
    if torch.allclose(levels, rounded, atol=1e-3, rtol=0):
        return rounded.to(torch.uint8)
    return (images * 65535).round().to(torch.int32)
