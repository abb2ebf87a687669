"""Reading a plan's images in batches, in this process or in several beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from frerec.bulk.plan import Plan
from frerec.data.readers import read_pixels
from frerec.data.readers.policy import to_tensor
from frerec.errors import DataError

Shape = tuple[int, int, int] | None
"""(C, H, W) of the images that a model takes; None where it takes any."""


@dataclass(frozen=True)
class Failure:
    """A row that has no output, and why, in one line that names the image."""

    row: int
    reason: str


@dataclass(frozen=True)
class Group:
    """Images of one shape, ``[n, C, H, W]`` in [0, 1], and their rows."""

    rows: list[int]
    images: Tensor


@dataclass(frozen=True)
class Batch:
    """Neighbouring rows of a plan: those that could be read, by shape, and the others."""

    groups: list[Group] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(group.rows) for group in self.groups) + len(self.failures)


def read_row(plan: Plan, row: int, shape: Shape) -> Tensor | Failure:
    """One image as float32 ``[C, H, W]``, with the model's channels or, without any, its own.

    What cannot be read comes back as a value: an exception from another process would arrive as
    that process's traceback.
    """
    try:
        pixels = read_pixels(plan.address(row))
        own = 1 if pixels.ndim == 2 else 3
        image = to_tensor(pixels, own if shape is None else shape[0])
        if shape is not None and shape[1:] != tuple(image.shape[1:]):
            raise DataError(
                f"{plan.address(row).name}: {image.shape[2]} x {image.shape[1]} pixels, the model"
                f" was fitted on {shape[2]} x {shape[1]}; generate or resize to that size, or fit"
                " another model"
            )
    except DataError as error:
        # The readers speak to users of data sets, whose key has a longer name.
        return Failure(row, " ".join(str(error).split()).replace("data.on_error", "on_error"))
    return image


class Images(Dataset[tuple[int, Tensor | Failure]]):
    """A plan's rows as images."""

    def __init__(self, plan: Plan, shape: Shape) -> None:
        self.plan, self.shape = plan, shape

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, row: int) -> tuple[int, Tensor | Failure]:
        return row, read_row(self.plan, row, self.shape)


def collate(items: Sequence[tuple[int, Tensor | Failure]]) -> Batch:
    """One batch of what was read; the rows stay in order within a shape."""
    batch = Batch()
    by_shape: dict[torch.Size, tuple[list[int], list[Tensor]]] = {}
    for row, image in items:
        if isinstance(image, Failure):
            batch.failures.append(image)
            continue
        rows, images = by_shape.setdefault(image.shape, ([], []))
        rows.append(row)
        images.append(image)
    batch.groups.extend(Group(rows, torch.stack(images)) for rows, images in by_shape.values())
    return batch


def loader(plan: Plan, shape: Shape, *, batch_size: int, num_workers: int) -> DataLoader[Batch]:
    """Batches of a plan in its order.

    Args:
        plan: What is read.
        shape: Of the model's images.
        batch_size: Images a batch.
        num_workers: Processes that read; 0 reads in this one. Each has two batches ahead.
    """
    return DataLoader(
        Images(plan, shape),  # type: ignore[arg-type]
        batch_size=batch_size,
        shuffle=False,
        num_workers=num_workers,
        collate_fn=collate,
    )
