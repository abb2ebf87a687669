"""stack: decoded pixels against Pillow and NumPy, resizing against Pillow's own filter."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from frerec.data.manifest import Manifest
from frerec.data.stack import (
    ImageStack,
    ImageStackWriter,
    LabelledImages,
    build_stack,
    resize,
    stack_from_tensor,
)
from frerec.errors import ConfigError, DataError

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def grey(height: int = 16, width: int = 16) -> np.ndarray:
    return RNG.integers(0, 256, (height, width), dtype=np.uint8)


def save(root: Path, **pixels: np.ndarray) -> Manifest:
    """Write arrays as PNG and list them, in alphabetical order."""
    for name, array in pixels.items():
        Image.fromarray(array).save(root / f"{name}.png")
    names = sorted(f"{name}.png" for name in pixels)
    return Manifest.build(root, images=names, labels=["x"] * len(names))


def test_eight_bit_images_at_their_own_size_are_stored_exactly(tmp_path: Path) -> None:
    pixels = {f"i{k:02d}": grey() for k in range(20)}
    manifest = save(tmp_path, **pixels)
    stack, kept, skipped = build_stack(
        manifest, tmp_path / "s.npy", channels=1, image_size=16, num_workers=3
    )
    assert (stack.dtype, stack.shape, skipped) == ("uint8", (20, 1, 16, 16), [])
    assert kept.table["image"].tolist() == [f"i{k:02d}.png" for k in range(20)]
    expected = np.stack(list(pixels.values()))[:, None]
    assert np.array_equal(np.load(tmp_path / "s.npy"), expected)
    np.testing.assert_array_equal(stack.tensor().numpy(), np.float32(expected) / np.float32(255))
    np.testing.assert_array_equal(stack.tensor([3, 1]).numpy(), stack.tensor().numpy()[[3, 1]])
    assert stack.tensor(5).shape == (1, 16, 16)


def test_what_eight_bits_cannot_hold_is_stored_in_sixteen(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (16, 16), dtype=np.uint16)
    colour = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    manifest = save(tmp_path, deep=deep, eight=grey(), colour=colour)
    stack, _, _ = build_stack(manifest, tmp_path / "s.npy", channels=1, image_size=None)
    assert stack.dtype == "uint16"
    luma = colour @ np.array([0.299, 0.587, 0.114]) / 255
    assert np.abs(stack.tensor(0)[0].numpy() - luma).max() <= 0.5 / 65535 + 1e-6
    assert np.array_equal(np.load(tmp_path / "s.npy")[1, 0], deep)
    three, _, _ = build_stack(
        manifest.take([0, 2]), tmp_path / "t.npy", channels=3, image_size=None
    )
    assert three.dtype == "uint8"
    assert np.array_equal(np.load(tmp_path / "t.npy")[0], colour.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [16, 23])
def test_resizing_is_pillows_antialiased_bicubic(size: int) -> None:
    rows, columns = np.mgrid[:64, :64]
    image = np.float32(0.5 + 0.3 * np.sin(rows / 5) * np.cos(columns / 7))
    image += RNG.normal(0, 0.05, image.shape).astype(np.float32)
    image = image.clip(0, 1)
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    ours = resize(torch.from_numpy(image)[None], size)[0].numpy()
    np.testing.assert_allclose(ours, expected.clip(0, 1), atol=1e-5)


def test_resizing_removes_frequencies_above_the_new_nyquist() -> None:
    stripes = torch.zeros(1, 64, 64)
    stripes[..., ::2] = 1
    assert torch.allclose(resize(stripes, 16)[..., 2:-2], torch.tensor(0.5), atol=0.01)


def test_images_that_are_not_square_are_padded_cropped_or_stretched() -> None:
    image = torch.rand(1, 32, 64)
    padded = resize(image, 32, fit="pad")
    assert padded.shape == (1, 32, 32)
    assert padded[:, :8].abs().max() == 0
    assert padded[:, 24:].abs().max() == 0
    reference = torch.nn.functional.interpolate(
        image[None], size=(16, 32), mode="bicubic", antialias=True
    )[0].clamp(0, 1)
    assert torch.equal(padded[:, 8:24], reference)
    assert torch.equal(resize(image, 32, fit="crop"), image[..., 16:48])
    stretched = resize(image, 32, fit="stretch").numpy()[0]
    expected = Image.fromarray(image[0].numpy()).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(stretched, np.asarray(expected).clip(0, 1), atol=1e-5)


def test_nothing_is_enlarged_unless_asked(tmp_path: Path) -> None:
    manifest = save(tmp_path, a=grey(32, 32), b=grey(24, 20), c=grey(10, 32))
    out = tmp_path / "s.npy"
    with pytest.raises(
        DataError, match=r"image_size=32: 1 images are smaller, .* b\.png with 20x24"
    ):
        build_stack(manifest, out, channels=1, image_size=32)
    with pytest.raises(DataError, match=r"2 images are smaller.*b\.png"):
        build_stack(manifest, out, channels=1, image_size=32, fit="crop")
    stack, _, _ = build_stack(manifest, out, channels=1, image_size=32, upsample=True)
    assert stack.shape == (3, 1, 32, 32)
    with pytest.raises(ConfigError, match=r"data\.fit=squeeze"):
        build_stack(manifest, out, channels=1, image_size=32, fit="squeeze")


def test_native_sizes_must_agree(tmp_path: Path) -> None:
    manifest = save(tmp_path, a=grey(16, 16), b=grey(16, 18))
    with pytest.raises(DataError, match=r"a\.png is 16x16, b\.png is 18x16; give data\.image_size"):
        build_stack(manifest, tmp_path / "s.npy", channels=1, image_size=None)
    one, _, _ = build_stack(manifest.take([1]), tmp_path / "s.npy", channels=1, image_size=None)
    assert one.shape == (1, 1, 16, 18)


def test_unreadable_images_stop_the_work_or_are_left_out(tmp_path: Path) -> None:
    pixels = {f"i{k}": grey(64, 64) for k in range(6)}
    manifest = save(tmp_path, **pixels)
    (tmp_path / "i1.png").write_text("not an image")  # found by its header
    cut = (tmp_path / "i4.png").read_bytes()[:2000]  # found on decoding
    (tmp_path / "i4.png").write_bytes(cut)
    out = tmp_path / "s.npy"
    with pytest.raises(DataError, match=r"i1\.png"):
        build_stack(manifest, out, channels=1, image_size=64)
    with pytest.raises(DataError, match=r"i4\.png: cannot be decoded"):
        build_stack(manifest.take([0, 2, 3, 4, 5]), out, channels=1, image_size=64)
    assert not list(tmp_path.glob("s.npy*"))
    stack, kept, skipped = build_stack(manifest, out, channels=1, image_size=64, on_error="skip")
    assert skipped == ["i1.png", "i4.png"]
    assert kept.table["image"].tolist() == ["i0.png", "i2.png", "i3.png", "i5.png"]
    expected = np.stack([pixels[f"i{k}"] for k in (0, 2, 3, 5)])[:, None]
    assert np.array_equal(np.load(out), expected)
    assert len(stack) == 4
    with pytest.raises(DataError, match="none of the 2 images can be read"):
        build_stack(manifest.take([1, 4]), out, channels=1, image_size=64, on_error="skip")
    assert [p.name for p in tmp_path.glob("s.npy*")] == ["s.npy"]


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
