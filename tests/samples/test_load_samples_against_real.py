"""What samples differ in that is no content is told, and nothing is told of images that agree."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fixtures import textured_images
from frerec.data.manifest import Manifest
from frerec.errors import DataError
from frerec.samples import check_against_real

SIZE, COUNT = 48, 24


def chest(count=COUNT, seed=0, size=SIZE) -> np.ndarray:
    """Images [N, H, W] that fill [0, 1]: two dark fields on a light one, and texture."""
    rows, columns = np.mgrid[:size, :size] / size
    field = sum(
        np.exp(-(((columns - c) / 0.15) ** 2) - ((rows - 0.5) / 0.3) ** 2) for c in (0.3, 0.7)
    )
    texture = textured_images(count, height=size, width=size, seed=seed)[:, 0].numpy()
    images = 0.75 - 0.6 * field + 0.5 * (texture - 0.5)
    low, high = np.percentile(images, [0.5, 99.5])
    return np.clip((images - low) / (high - low), 0, 1)


def stored(folder: Path, images, suffix=".png", mode=None, **options) -> Manifest:
    folder.mkdir()
    names = [f"{k:03d}{suffix}" for k in range(len(images))]
    for name, image in zip(names, images, strict=True):
        picture = Image.fromarray((image * 255).round().astype(np.uint8))
        picture = picture.convert(mode) if mode else picture
        picture.save(folder / name, **options)
    return Manifest.build(folder, images=names, labels=["x"] * len(names))


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Manifest:
    return stored(tmp_path_factory.mktemp("real") / "real", chest(seed=1))


def warned(tmp_path, real, images, **options) -> list[str]:
    found = check_against_real(stored(tmp_path / "samples", images, **options), real)
    assert not any("\n" in warning for warning in found)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_images_of_one_kind_agree(tmp_path, real, seed):
    assert warned(tmp_path, real, chest(seed=10 + seed)) == []


def test_lossless_formats_agree_and_arrays_with_files(tmp_path, real):
    assert warned(tmp_path, real, chest(seed=2), suffix=".tif") == []
    np.savez(tmp_path / "s.npz", x=(chest(seed=3) * 255).round().astype(np.uint8))
    rows = [f"s.npz::x/{k:06d}" for k in range(COUNT)]
    assert (
        check_against_real(Manifest.build(tmp_path, images=rows, labels=["x"] * COUNT), real) == []
    )


def test_compression_and_its_quality(tmp_path, real):
    found = warned(tmp_path, real, chest(seed=2), suffix=".jpg", quality=90)
    assert found[0].startswith("samples have compression JPEG, real images lossless")
    worse = stored(tmp_path / "worse", chest(seed=4), suffix=".jpg", quality=50)
    better = stored(tmp_path / "better", chest(seed=4), suffix=".jpg", quality=95)
    found = check_against_real(worse, better)
    assert found[0].startswith("samples have a JPEG quality of 50, real images of 95")


def test_size_and_shape(tmp_path, real):
    found = warned(tmp_path, real, chest(seed=2)[:, :, 8:])
    assert found[0].startswith("samples have size 40x48, real images 48x48")
    assert found[1].startswith("samples have an aspect ratio of 0.83")
    assert len(found) == 2


def test_sizes_that_vary_where_the_real_ones_do_not(tmp_path, real):
    images = [image[: 48 - k % 2, : 48 - k % 2] for k, image in enumerate(chest(seed=2))]
    assert [w[:18] for w in warned(tmp_path, real, images)] == ["samples have size "]


def test_one_odd_size_among_many_is_no_difference(tmp_path, real):
    images = list(chest(seed=2))
    images[3] = images[3][:40, :40]
    assert warned(tmp_path, real, images) == []


def test_colour_and_grey_stored_as_colour(tmp_path, real):
    found = warned(tmp_path, real, chest(seed=2), mode="RGB")
    assert len(found) == 1
    assert found[0].startswith("samples have colour grey stored as colour, real images grey:")
    tinted = np.stack([chest(seed=2), chest(seed=2) * 0.9, chest(seed=2)], axis=-1)
    other = stored(tmp_path / "tinted", tinted)
    assert "samples have colour colour, real images grey:" in check_against_real(other, real)[0]


def test_bit_depth(tmp_path, real):
    (tmp_path / "deep").mkdir()
    for k, image in enumerate(chest(seed=2)):
        levels = (image * 65535).round().astype(np.uint16)
        Image.fromarray(levels).save(tmp_path / "deep" / f"{k:02d}.png")
    names = sorted(p.name for p in (tmp_path / "deep").iterdir())
    deep = Manifest.build(tmp_path / "deep", images=names, labels=["x"] * COUNT)
    found = check_against_real(deep, real)
    assert [w[:46] for w in found] == ["samples have bit depth 16 bits, real images 8 "]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: 0.2 + 0.6 * x, "values from 0.2"),
        (lambda x: 0.5 * x, "to 0.48"),
        (lambda x: 0.5 + 0.5 * x, "values from 0.5"),
        (lambda x: 1 - x, "look inverted"),
        (lambda x: x**0.4, "have a mean of"),
    ],
)
def test_the_range_of_values(tmp_path, real, change, words):
    found = warned(tmp_path, real, change(chest(seed=2)))
    assert len(found) == 1
    assert words in found[0]


def test_small_differences_are_none_however_sure(tmp_path):
    ramps = np.broadcast_to(np.linspace(0, 1, SIZE), (8, SIZE, SIZE))
    real = stored(tmp_path / "real", ramps)
    assert warned(tmp_path, real, 0.05 + 0.9 * ramps) == []


def test_sets_without_a_common_layout_are_never_inverted(tmp_path):
    images = textured_images(8, height=48, width=48, seed=4)[:, 0].numpy()
    negative = stored(tmp_path / "negative", 1 - images)
    assert check_against_real(negative, stored(tmp_path / "real", images)) == []


@pytest.mark.parametrize("order", [1, 2, 3])
def test_smoothly_enlarged_samples_are_known_by_their_empty_band(tmp_path, real, order):
    small = chest(seed=2, size=SIZE // 2)
    enlarged = np.clip(ndimage.zoom(small, (1, 2, 2), order=order), 0, 1)
    found = warned(tmp_path, real, enlarged)
    assert len(found) == 1
    assert "hardly any power above" in found[0]
    radius = int(found[0].partition("above ")[2].partition(" %")[0])
    assert 35 <= radius <= 80  # they were enlarged twice: nothing above one half, but for leakage


def test_edges_that_differ_do_not_fill_the_empty_band(tmp_path):
    ramp = np.linspace(0, 1, SIZE)
    real = stored(tmp_path / "real", 0.3 * chest(seed=1) + 0.7 * ramp)
    small = chest(seed=2, size=SIZE // 2)
    enlarged = np.clip(ndimage.zoom(small, (1, 2, 2), order=3), 0, 1)
    found = warned(tmp_path, real, 0.3 * enlarged + 0.7 * ramp)
    assert any("hardly any power above" in warning for warning in found)


@pytest.mark.parametrize(("small", "factor"), [(24, "2.0"), (16, "3.0"), (32, "1.5")])
def test_samples_enlarged_by_repeating_pixels_are_known_by_it(tmp_path, real, small, factor):
    rows = np.arange(SIZE) * small // SIZE
    enlarged = chest(seed=2, size=small)[:, rows][:, :, rows]
    found = warned(tmp_path, real, enlarged)
    assert len(found) == 1
    assert f"enlarged {factor} times by repeating pixels" in found[0]


def test_black_borders_are_no_repeated_pixels(tmp_path, real):
    images = chest(seed=2)
    images[:, :16] = images[:, -12:] = images[:, :, :14] = 0
    found = warned(tmp_path, real, images)
    assert not any("repeating" in warning for warning in found)


def test_real_images_that_are_larger_are_reduced_before_spectra_are_compared(tmp_path):
    large = chest(seed=1, size=96)
    reduced = [np.asarray(Image.fromarray(x.astype(np.float32)).resize((48, 48), 3)) for x in large]
    samples = stored(tmp_path / "samples", np.clip(reduced, 0, 1))
    found = check_against_real(samples, stored(tmp_path / "real", chest(seed=2, size=96)))
    assert [w[:18] for w in found] == ["samples have size "]


def test_larger_real_images_with_an_empty_band_of_their_own_do_not_hide_that_of_samples(tmp_path):
    large = ndimage.zoom(chest(seed=1), (1, 2, 2), order=3)  # full once they are reduced
    enlarged = ndimage.zoom(chest(seed=2, size=SIZE // 2), (1, 2, 2), order=3)
    real = stored(tmp_path / "real", np.clip(large, 0, 1))
    found = warned(tmp_path, real, np.clip(enlarged, 0, 1))
    assert any("hardly any power above" in warning for warning in found)


def test_images_of_one_colour_and_single_images_are_no_accident(tmp_path):
    blank = stored(tmp_path / "blank", np.zeros((2, 48, 48)))
    one = stored(tmp_path / "one", chest(count=1))
    assert check_against_real(one, one) == []
    assert check_against_real(blank, blank) == []
    assert any("values from 0.00 to 0.00" in w for w in check_against_real(blank, one))
    tiny = stored(tmp_path / "tiny", np.zeros((2, 3, 1)))
    assert any("size 1x3" in w for w in check_against_real(tiny, one))


def test_the_look_is_bounded_and_at_training_images_only(tmp_path, real, monkeypatch):
    from frerec.samples import looking

    seen = []
    read = looking.read_pixels
    monkeypatch.setattr(looking, "read_pixels", lambda a: [seen.append(a), read(a)][1])
    splits = ["train", "test"] * (COUNT // 2)
    placed = real.with_columns(split=splits)
    samples = stored(tmp_path / "samples", chest(count=40, seed=2))
    check_against_real(samples, placed, count=10)
    assert len(seen) == 20
    test_images = set(placed.table["image"][placed.table["split"] == "test"])
    assert not {a.blob.path.name for a in seen if a.blob.path.parent == real.root} & test_images


def test_an_unreadable_sample_is_named(tmp_path, real):
    samples = stored(tmp_path / "samples", chest(count=2))
    (tmp_path / "samples" / "000.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"000\.png: not a PNG"):
        check_against_real(samples, real)
