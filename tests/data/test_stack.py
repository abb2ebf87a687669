"""stack: what is written is what is read, whole or not at all."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from frerec.data.stack import (
    ImageStack,
    ImageStackWriter,
    LabelledImages,
    stack_from_tensor,
)
from frerec.errors import DataError


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_the_writer_takes_rows_in_any_order_and_rounds(tmp_path: Path) -> None:
    images = torch.rand(5, 3, 8, 6)
    with ImageStackWriter.create(tmp_path / "s.npy", (5, 3, 8, 6)) as writer:
        writer.write([4, 0], images[[4, 0]])
        assert not (tmp_path / "s.npy").exists()
        writer.write([1, 2, 3], images[1:4])
        stack = writer.close()
    assert stack.dtype == "uint16"
    exact = images.double().numpy() * 65535
    assert np.abs(np.load(tmp_path / "s.npy") - exact).max() < 0.51
    assert (stack.tensor() - images).abs().max() < 0.51 / 65535


def test_an_unfinished_file_never_gets_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="1 of 3 rows"),
        ImageStackWriter.create(tmp_path / "s.npy", (3, 1, 4, 4)) as writer,
    ):
        writer.write(0, torch.zeros(1, 1, 4, 4))
    with (
        pytest.raises(ValueError, match="expected \\[1, C, H, W\\]"),
        ImageStackWriter.create(tmp_path / "s.npy", (1, 1, 4, 4)) as writer,
    ):
        writer.write(0, torch.zeros(1, 1, 5, 4))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), 1.5, -0.5, float("inf")])
def test_the_writer_refuses_pixels_outside_the_range(tmp_path: Path, value: float) -> None:
    with (
        pytest.raises(ValueError, match="within"),
        ImageStackWriter.create(tmp_path / "s.npy", (1, 1, 4, 4)) as writer,
    ):
        writer.write(0, torch.full((1, 1, 4, 4), value))


def test_selections_compose_and_travel_to_other_processes(tmp_path: Path) -> None:
    images = torch.rand(10, 1, 4, 4)
    stack = stack_from_tensor(images, tmp_path / "s.npy", "uint8")
    chosen = stack.select(np.arange(10) % 2 == 1).select([4, 0, 2])
    assert chosen.shape == (3, 1, 4, 4)
    assert torch.equal(chosen.tensor(), stack.tensor([9, 1, 5]))
    assert torch.equal(chosen.tensor([2]), stack.tensor([5]))
    assert torch.equal(chosen.tensor(slice(1, None)), stack.tensor([1, 5]))
    payload = pickle.dumps(chosen)
    assert len(payload) < 2000
    assert torch.equal(pickle.loads(payload).tensor(), chosen.tensor())


def test_files_that_are_no_stack_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(3))
    (tmp_path / "text.npy").write_text("no")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    for name in ("flat", "text", "objects", "missing"):
        with pytest.raises(DataError, match=f"{name}.npy"):
            ImageStack.open(tmp_path / f"{name}.npy")


def test_labelled_images_pair_rows_with_labels(tmp_path: Path) -> None:
    stack = stack_from_tensor(torch.rand(6, 1, 4, 4), tmp_path / "s.npy")
    dataset = LabelledImages(stack, [5, 2], [1, 0], transform=lambda image: image.flip(-1))
    image, label = dataset[0]
    assert torch.equal(image, stack.tensor(5).flip(-1))
    assert (label, len(dataset)) == (1, 2)
    images, labels = next(iter(DataLoader(dataset, batch_size=2)))
    assert images.shape == (2, 1, 4, 4)
    assert labels.tolist() == [1, 0]
    assert labels.dtype == torch.int64
    with pytest.raises(ValueError, match="2 rows but 1 labels"):
        LabelledImages(stack, [1, 2], [0])
