"""Phantoms: the embedded default data set, drawn from a seed, free of patients and of licences.

Three modalities, each with a two-class question of moderate difficulty: a small network trained
on a few hundred images reaches an AUC of about 0.8 to 0.9, and global statistics of an image
(brightness, contrast, high-frequency power) do not give the label away. They are [ours]: the
paper has no phantoms.
"""

from frerec.data.phantoms.draw import (
    PHANTOMS,
    Phantom,
    PhantomSet,
    draw_phantoms,
    iter_phantoms,
)
from frerec.data.phantoms.write import write_phantoms

__all__ = [
    "PHANTOMS",
    "Phantom",
    "PhantomSet",
    "draw_phantoms",
    "iter_phantoms",
    "write_phantoms",
]
