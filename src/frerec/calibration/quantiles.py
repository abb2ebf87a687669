"""Histogram matching of whole batches, as scikit-image's ``match_histograms`` does for one pair."""

import torch
from torch import Tensor


def match_quantiles(images: Tensor, references: Tensor) -> Tensor:
    """Give every channel the distribution of values that the reference's channel has.

    A value whose share of pixels at or below it is q becomes the reference's q-quantile: linear
    between the reference's distinct values, each at the share of pixels at or below it, and the
    smallest of them below its own share. This is the map of ``skimage.exposure.match_histograms``
    for floating-point images, written for n pixels against n pixels: with the pixels counted
    instead of divided by n, the upper end of the interval is the sorted reference itself.

    Args:
        images: ``[B, C, H, W]``.
        references: The same shape.

    Returns:
        ``[B, C, H, W]``, the type of ``images``; within the range of each reference.
    """
    # Everything along the sorted pixels, where neighbours in memory are neighbours in value; pixels
    # of one value get one result, so their order does not matter.
    own, order = images.flatten(2).sort(-1)
    ordered = references.flatten(2).to(own.dtype).sort(-1).values
    count = torch.searchsorted(own, own, right=True)  # pixels at or below, 1 .. n
    upper = ordered.gather(-1, count - 1)  # the smallest value that so many are at or below
    at_or_below = torch.searchsorted(ordered, upper, right=True)
    below = torch.searchsorted(ordered, upper)
    lower = ordered.gather(-1, (below - 1).clamp_min(0)).double()  # the distinct value before it
    slope = (upper.double() - lower) / (at_or_below - below)
    matched = torch.where(below > 0, lower + slope * (count - below), upper.double())
    matched = matched.to(images.dtype)
    return torch.empty_like(matched).scatter_(-1, order, matched).reshape(images.shape)
