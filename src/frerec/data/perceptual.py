"""Perceptual hashes: images that look alike differ in few of their 256 bits.

The hash is `phash` of the ImageHash library with `hash_size=16`: the 16 x 16 lowest coefficients of
a discrete cosine transform of the grey image at 64 x 64 pixels, each above the median or not. It
survives resizing, compression and changes of brightness and contrast, not rotation or mirroring.
"""

import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor
from tqdm import tqdm

from frerec.data.components import connected
from frerec.data.readers.policy import LUMA
from frerec.errors import ConfigError, DataError

BITS = 256
PAIR_LIMIT = 1_000_000
"""Most pairs of near-duplicates that are listed one by one [ours]; bounds the memory."""

_SIDE = 16
_REDUCED = 256
"""Images are first averaged down in whole blocks while both sides keep this many pixels [ours]."""

_THUMBNAIL = 64
_FLAT = 4
"""Grey levels of 255 that the 64 x 64 image must span at least to have a hash [ours]."""

_UNREADABLE = (
    *(OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)
_HEXADECIMAL = frozenset("0123456789abcdef")
_ROWS = 1024
_COLUMNS = 4096


@dataclass(frozen=True)
class NearPairs:
    """What `find_near_pairs` found.

    Attributes:
        pairs: int64 [M, 3], rows i < j and their distance, sorted by i, then j.
        complete: whether these are all. If not, there were more than the limit: the further ones
            are only as many as it takes that whoever is connected by near-duplicates still is.
    """

    pairs: np.ndarray
    complete: bool

    def save(self, path: Path) -> None:
        """Write as npz: both, by name; a file that is there is replaced at once or not at all."""
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with unfinished.open("wb") as file:
                np.savez(file, pairs=self.pairs, complete=self.complete)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "NearPairs":
        """Read what `save` wrote; nothing is unpickled.

        Raises:
            DataError: there is no such file, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as kept:
                pairs, complete = kept["pairs"], kept["complete"]
        except _UNREADABLE as error:
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: cannot be read ({reason}); delete it") from None
        if pairs.dtype != np.int64 or pairs.shape[1:] != (3,) or complete.shape != ():
            raise DataError(
                f"{path}: pairs {pairs.dtype} {list(pairs.shape)} and complete "
                f"{list(complete.shape)}, expected int64 [M, 3] and []; delete it"
            )
        return cls(pairs, bool(complete))


def perceptual_hash(image: Tensor) -> str:
    """The hash of an image, 64 hexadecimal characters, or "" where it is flat.

    Large images are first reduced: blocks of k x k pixels are averaged, k being the largest whole
    number that leaves both sides at least 256 pixels. An image whose 64 x 64 version spans less
    than 4 of 255 grey levels has nothing to recognise it by: its hash would be that of all flat
    images, or of noise.

    Args:
        image: float [C, H, W] in [0, 1], C 1 or 3; colour becomes grey by ITU-R BT.601 luma.

    Raises:
        DataError: another shape.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise DataError(f"image of shape {tuple(image.shape)}: expected [1 or 3, H, W]")
    k = min(image.shape[1:]) // _REDUCED
    if k > 1:
        image = F.avg_pool2d(image[None], k, ceil_mode=True, count_include_pad=False)[0]
    luma = torch.from_numpy(LUMA).to(image)
    grey = image[0] if len(image) == 1 else torch.tensordot(luma, image, dims=1)
    levels = (grey * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    picture = Image.fromarray(levels)
    low, high = picture.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.LANCZOS).getextrema()
    if float(high) - float(low) < _FLAT:  # type: ignore[arg-type]
        return ""
    return str(imagehash.phash(picture, hash_size=_SIDE))


def find_near_pairs(
    hashes: Sequence[str],
    distance: int,
    *,
    limit: int = PAIR_LIMIT,
    progress: bool | None = None,
) -> NearPairs:
    """All pairs of images whose hashes differ in at most so many bits; exact, in bounded memory.

    Images with the same hash are taken together; all others are compared by matrix products of
    hashes written as -1 and 1, whose entries are 256 minus twice the distance.

    Args:
        hashes: one an image, as `perceptual_hash` writes them; "" is near nothing.
        distance: bits, 0 to 128.
        limit: how many pairs are listed one by one.
        progress: show a bar on stderr; None for only on a terminal.

    Raises:
        DataError: a hash that is none.
        ConfigError: the distance is outside its range.
    """
    if not 0 <= distance <= BITS // 2:
        raise ConfigError(
            f"data.near_distance={distance}: expected 0 to {BITS // 2} of {BITS} bits; two "
            f"images that have nothing in common differ in about {BITS // 2}"
        )
    grouped = _grouped(hashes)
    between, complete = _compare(_signs(grouped.keys), distance, limit, progress)
    return _listed(between, grouped, len(hashes), limit, complete)


def equal_pairs(keys: Sequence[str], *, limit: int = PAIR_LIMIT) -> NearPairs:
    """All pairs with the same key, at distance 0; "" equals nothing.

    Args:
        keys: one an image, for example the hash of its pixels.
        limit: how many pairs are listed one by one.
    """
    return _listed(np.zeros((0, 3), dtype=np.int64), _grouped(keys), len(keys), limit, True)


@dataclass(frozen=True)
class _Groups:
    """Positions by key: key u is that of `members[start[u] : start[u] + size[u]]`, in order."""

    keys: list[str]
    members: np.ndarray
    start: np.ndarray
    size: np.ndarray


def _grouped(keys: Sequence[str]) -> _Groups:
    rows = np.array([row for row, key in enumerate(keys) if key], dtype=np.int64)
    codes, distinct = pd.factorize(np.array([keys[row] for row in rows], dtype=object))
    size = np.bincount(codes, minlength=len(distinct)).astype(np.int64)
    members = rows[np.argsort(codes, kind="stable")]
    return _Groups([str(key) for key in distinct], members, np.cumsum(size) - size, size)


def _listed(between: np.ndarray, groups: _Groups, n: int, limit: int, complete: bool) -> NearPairs:
    """Pairs [M, 3] of groups to pairs of their members, with those within each group."""
    size = groups.size
    number = (size[between[:, 0]] * size[between[:, 1]]).sum() + (size * (size - 1) // 2).sum()
    if complete and number <= limit:
        alike = np.flatnonzero(size > 1)
        within = np.stack([alike, alike, np.zeros_like(alike)], axis=1)
        pairs = _expand(np.concatenate([between, within]), groups)
    else:
        complete = False
        first = groups.members[groups.start]
        copies = np.stack([np.repeat(first, size), groups.members], axis=1)
        copies = np.pad(copies[copies[:, 0] != copies[:, 1]], ((0, 0), (0, 1)))
        firsts = np.column_stack([first[between[:, 0]], first[between[:, 1]], between[:, 2]])
        pairs = _forest(np.concatenate([firsts, copies]), n)
    pairs[:, :2].sort(axis=1)
    return NearPairs(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], complete)


def _signs(hashes: list[str]) -> np.ndarray:
    """float32 [U, 256] of -1 and 1."""
    wrong = next((h for h in hashes if len(h) != BITS // 4 or not _HEXADECIMAL.issuperset(h)), None)
    if wrong is not None:
        raise DataError(f"perceptual hash {wrong!r}: expected {BITS // 4} hexadecimal characters")
    packed = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=np.uint8).reshape(-1, BITS // 8)
    return np.unpackbits(packed, axis=1).astype(np.float32) * 2 - 1


def _compare(
    signs: np.ndarray, distance: int, limit: int, progress: bool | None
) -> tuple[np.ndarray, bool]:
    """Pairs [M, 3] of rows of `signs`, and whether all are there or only a spanning forest."""
    U = len(signs)
    kept = [np.zeros((0, 3), dtype=np.int64)]
    count, component = 0, None
    blocks = [
        (i, j) for i in range(0, U, _ROWS) for j in range(i // _COLUMNS * _COLUMNS, U, _COLUMNS)
    ]
    disable = None if progress is None else not progress
    for top, left in tqdm(blocks, desc="comparing images", unit="block", disable=disable):
        product = signs[top : top + _ROWS] @ signs[left : left + _COLUMNS].T
        i, j = np.nonzero(product >= BITS - 2 * distance)
        bits = (BITS - product[i, j].astype(np.int64)) // 2
        found = np.stack([i + top, j + left, bits], axis=1)[i + top < j + left]
        if component is not None:
            found = found[component[found[:, 0]] != component[found[:, 1]]]
        kept.append(found)
        count += len(found)
        if count > limit:
            kept = [_forest(np.concatenate(kept), U)]
            count, component = len(kept[0]), connected(kept[0], U)
    pairs = np.concatenate(kept)
    return (pairs, True) if component is None else (_forest(pairs, U), False)


def _expand(pairs: np.ndarray, groups: _Groups) -> np.ndarray:
    """Pairs [M, 3] of groups to pairs of members; a group with itself gives each pair once."""
    members, start, size = groups.members, groups.start, groups.size
    a, b, bits = pairs.T
    number = size[a] * size[b]
    pair = np.repeat(np.arange(len(pairs)), number)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(number) - number, number)
    first, second = np.divmod(place, size[b[pair]])
    expanded = np.stack(
        [members[start[a[pair]] + first], members[start[b[pair]] + second], bits[pair]], axis=1
    )
    once: np.ndarray = expanded[(a[pair] != b[pair]) | (first < second)]
    return once


def _forest(pairs: np.ndarray, n: int) -> np.ndarray:
    """As few of the pairs [M, 3] of n things as connect the same ones, preferring near ones."""
    weights = pairs[:, 2] + 1  # a weight of 0 would be no edge
    tree = minimum_spanning_tree(coo_array((weights, (pairs[:, 0], pairs[:, 1])), (n, n))).tocoo()
    forest: np.ndarray = np.stack([tree.row, tree.col, tree.data - 1], axis=1).astype(np.int64)
    return forest
