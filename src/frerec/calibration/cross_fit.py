"""Cross-fitting [ours]: no real image is calibrated by an RHM that was trained on it.

RHM reconstructs the images that it was trained on better than others, so that calibrated training
and test images differ for that reason alone. With k folds of the patients and k RHMs, each trained
without one fold, an image of the fit goes through the RHM that did not see it.

What is not cross-fitted is SHR's bank: all k RHMs share it. An image of fold f is never an input
or a target of RHM f, but it may be a neighbour of images of the other folds, so that its spectrum
enters their inputs, averaged with that of the other K - 1 neighbours.
"""

from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from frerec.errors import ConfigError

Unseen = Literal["mean", "first"]
UNSEEN: tuple[Unseen, ...] = ("mean", "first")
NO_FOLD = -1


def patient_folds(groups: Tensor, keys: Tensor, count: int, *, seed: int) -> Tensor:
    """Cut the patients into folds of about the same number of images, at random.

    Patients who share an image (by content) stay together: otherwise an RHM would have seen an
    image of its fold under another name.

    Args:
        groups: Patients, int64 ``[N]``.
        keys: Content of each image, int64 ``[N]``, see
            :func:`frerec.calibration.bank.content_keys`.
        count: Number of folds, at least 2.
        seed: Of the draw.

    Returns:
        Fold of each image, int64 ``[N]`` in [0, count), every fold with at least one image.

    Raises:
        ConfigError: If there are too few patients for every RHM to train on two of them.
    """
    _, patient = np.unique(groups.numpy(), return_inverse=True)
    _, content = np.unique(keys.numpy(), return_inverse=True)
    patients, nodes = int(patient.max()) + 1, int(patient.max() + content.max()) + 2
    edges = (np.ones(len(patient)), (patient, patients + content))
    component = connected_components(coo_matrix(edges, shape=(nodes, nodes)), directed=False)[1]
    _, cluster, sizes = np.unique(component[patient], return_inverse=True, return_counts=True)
    if len(sizes) < 2 * count:
        raise ConfigError(
            f"cross_fit={count}: needs at least {2 * count} patients without a common image,"
            f" found {len(sizes)}; use fewer folds"
        )
    fold_of_cluster = np.empty(len(sizes), dtype=np.int64)
    images, members = np.zeros(count), np.zeros(count)
    for index in np.random.default_rng(seed).permutation(len(sizes)):
        # A fold of fewer than two first, then the smallest: each RHM needs two patients.
        fold = np.lexsort((images, np.minimum(members, 2)))[0]
        fold_of_cluster[index] = fold
        images[fold] += sizes[index]
        members[fold] += 1
    return torch.from_numpy(fold_of_cluster[cluster])


def folds_of(known: Tensor, folds: Tensor) -> Tensor:
    """Fold of each image, or -1 where it took no part in the fit.

    Args:
        known: Which images of the fit these are, bool ``[B, M]``.
        folds: Fold of each image of the fit, int64 ``[M]``.

    Returns:
        int64 ``[B]``.
    """
    # Equal images are in one fold, so the largest of their numbers is the number of each.
    numbers = torch.where(known, folds[None, :], torch.full_like(folds, NO_FOLD)[None, :])
    return numbers.amax(dim=1)


def map_by_fold(models: nn.ModuleList, images: Tensor, fold: Tensor, *, unseen: Unseen) -> Tensor:
    """Each image through the model of its fold, the others as ``unseen`` says.

    A model runs once, on the images that need it.

    Args:
        models: One a fold; model f has not seen the images of fold f.
        images: ``[B, C, H, W]``.
        fold: int64 ``[B]``; -1 for images of no fold.
        unseen: ``mean`` of all models for those, or the ``first`` model.
    """
    others = fold == NO_FOLD
    out = torch.zeros_like(images)
    for number, model in enumerate(models):
        wanted = fold == number
        if unseen == "mean" or number == 0:
            wanted = wanted | others
        rows = wanted.nonzero().flatten()
        if len(rows) > 0:
            out.index_add_(0, rows, model(images[rows]))
    if unseen == "mean":
        shares = torch.where(others, len(models), 1).to(out)
        out = out / shares[:, None, None, None]
    return out


def check_cross_fit(count: int | None, unseen: str) -> int:
    """The number of RHMs: 1 for no cross-fitting.

    Raises:
        ConfigError: If an argument is outside its range.
    """
    if count is not None and count < 1:
        raise ConfigError(f"cross_fit={count}: expected at least 2 folds, or 1 or null for none")
    if unseen not in UNSEEN:
        raise ConfigError(f"unseen={unseen}: expected one of {', '.join(UNSEEN)}")
    return count or 1
