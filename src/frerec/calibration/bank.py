"""The bank of real images: who may be whose neighbour, and the search among them."""

import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from frerec.calibration.retrieval import SearchMethod, top_k_ssim
from frerec.calibration.rows import ImageRows, chunks
from frerec.errors import ConfigError, DataError

SEARCH_BATCH = 128  # queries whose scores and exclusions are held at once
SIXTEEN_BITS = 32768  # int16 holds level - 32768


def content_keys(images: Tensor) -> Tensor:
    """A number per image that depends on its pixels alone (at 16 bits) and on its size.

    Args:
        images: ``[B, C, H, W]`` in [0, 1].

    Returns:
        int64 ``[B]``, on the CPU.
    """
    levels = _levels(images.detach().float().clamp(0, 1), eight_bits=False).cpu().numpy()
    shape = str(tuple(images.shape[1:])).encode()
    digests = (
        hashlib.blake2b(level.tobytes(), digest_size=8, key=shape).digest() for level in levels
    )
    keys = [int.from_bytes(digest, "little", signed=True) for digest in digests]
    return torch.tensor(keys, dtype=torch.long)


class RealBank(nn.Module):
    """Real training images with their patients, kept for retrieval.

    It hands out its images as an :class:`frerec.calibration.rows.ImageRows` does: ``bank[rows]``
    is float32 ``[n, C, H, W]`` in [0, 1].

    Buffers: ``images`` uint8 or int16 ``[N, C, H, W]`` (8-bit images stay exact, others at 16
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

    def allocate_for(self, state: dict[str, Tensor], prefix: str = "bank.") -> None:
        """Empty buffers of the size that ``state`` holds under ``prefix``."""
        images = state[prefix + "images"]
        if images.dtype not in (torch.uint8, torch.int16) or images.ndim != 4:
            raise ValueError(f"{prefix}images is {images.dtype} {tuple(images.shape)}")
        channels, height, width = images.shape[1:]
        self.allocate(
            count=len(images),
            known=len(state[prefix + "known_keys"]),
            shape=(channels, height, width),
            dtype=images.dtype,
        )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> torch.Size:
        """N, C, H, W."""
        return self.images.shape

    def __getitem__(self, rows: Any) -> Tensor:
        images = self.images[rows]
        if images.dtype == torch.uint8:
            return images.float() / 255.0
        return (images.float() + SIXTEEN_BITS) / 65535.0

    def fill(
        self, images: ImageRows, groups: Tensor, *, size: int | None = None, seed: int = 0
    ) -> None:
        """Take in real images ``[N, C, H, W]``, at most ``size`` of them drawn at random [ours].

        Args:
            images: In [0, 1].
            groups: int64 ``[N]``, equal for images of one patient.
            size: At most this many serve as neighbours; None keeps all.
            seed: Of the draw.
        """
        rows = torch.arange(len(images))
        if size is not None and size < len(images):
            generator = torch.Generator().manual_seed(seed)
            rows = torch.randperm(len(images), generator=generator)[:size].sort().values
        device = self.images.device
        eight_bits = all(_is_eight_bits(part) for part in chunks(images))
        levels = [_levels(images[part], eight_bits=eight_bits) for part in rows.split(256)]
        self.images = torch.cat(levels).to(device)
        self.groups = groups[rows].to(device)
        self.known_keys = torch.cat([content_keys(part) for part in chunks(images)]).to(device)
        self.known_groups = groups.to(device)

    def known(self, images: Tensor, *, keys: Tensor | None = None) -> Tensor:
        """Which images of the fit these are, by content: bool ``[B, M]``, on the bank's device.

        Args:
            images: ``[B, C, H, W]`` in [0, 1].
            keys: Their :func:`content_keys`, where they are known already.
        """
        keys = content_keys(images) if keys is None else keys
        return keys.to(self.known_keys.device)[:, None] == self.known_keys[None, :]

    def exclusion(self, images: Tensor, *, keys: Tensor | None = None) -> Tensor | None:
        """Leave-one-out: which bank images may not be neighbours of these images.

        An image that took part in the fit must not find itself, nor another image of its
        patient, because a test image cannot either. It is recognised by its content.

        Returns:
            bool ``[B, N]``, or None where nothing is excluded.
        """
        query, member = self.known(images, keys=keys).nonzero(as_tuple=True)
        if len(query) == 0:
            return None
        # Byte-identical images may belong to several patients: all of them are excluded.
        hits = self.known_groups[member][:, None] == self.groups[None, :]
        counts = torch.zeros(len(images), len(self), dtype=torch.int32, device=hits.device)
        return counts.index_add_(0, query, hits.int()).bool()

    def search(
        self,
        images: ImageRows,
        k: int,
        *,
        method: SearchMethod = "fast",
        keys: Tensor | None = None,
        progress: bool = False,
    ) -> Tensor:
        """The k bank images most similar to each image, without itself and its patient.

        Args:
            images: ``[B, C, H, W]`` in [0, 1].
            k: Neighbours an image.
            method: See :func:`frerec.calibration.retrieval.top_k_ssim`.
            keys: The images' :func:`content_keys`, where they are known already.
            progress: Show a progress bar.

        Returns:
            int64 ``[B, k]``, best first, on the bank's device.

        Raises:
            DataError: If the images are not of the size of the fit.
            ConfigError: If nothing was fitted, or fewer than k are left to choose from.
        """
        self.check_size(images)
        found = [torch.zeros(0, k, dtype=torch.long, device=self.images.device)]
        starts = range(0, len(images), SEARCH_BATCH)
        for start in tqdm(starts, desc="neighbours", unit="batch", disable=not progress):
            part = images[start : start + SEARCH_BATCH].to(self.images.device)
            own = None if keys is None else keys[start : start + SEARCH_BATCH]
            exclude = self.exclusion(part, keys=own)
            _, indices = top_k_ssim(part, self, k, exclude=exclude, method=method)
            found.append(indices)
        return torch.cat(found)

    def check_size(self, images: ImageRows) -> None:
        """Refuse images that are not of the size of the fit."""
        if len(self) == 0:
            raise ConfigError("calibrator is not fitted: call fit(real_images) or load(directory)")
        if tuple(images.shape[1:]) != tuple(self.images.shape[1:]):
            c, h, w = self.images.shape[1:]
            raise DataError(
                f"images of shape {tuple(images.shape[1:])}: the calibrator was fitted on "
                f"[{c}, {h}, {w}]; resize or convert them first (data.image_size, data.channels)"
            )


def _is_eight_bits(images: Tensor) -> bool:
    levels = images.float() * 255
    return bool(torch.allclose(levels, levels.round(), atol=1e-3, rtol=0))


def _levels(images: Tensor, *, eight_bits: bool) -> Tensor:
    images = images.float()
    if eight_bits:
        return (images * 255).round().to(torch.uint8)
    return ((images * 65535).round() - SIXTEEN_BITS).to(torch.int16)
