"""retina: drawn discs of known place and size, on black as cameras leave it."""

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from frerec.data.readers import ReadOptions, read_described, read_pixels
from frerec.data.retina import crop_to_retina, find_retina
from frerec.errors import DataError

Centre = tuple[float, float]


def inside(height: int, width: int, centre: Centre, radius: float) -> np.ndarray:
    """Which pixels lie in the disc, bool [H, W]."""
    y, x = np.mgrid[:height, :width]
    disc: np.ndarray = np.hypot(y - centre[0], x - centre[1]) <= radius
    return disc


def photograph(
    height: int,
    width: int,
    centre: Centre,
    radius: float,
    *,
    channels: int = 3,
    exposure: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """A retina with a bright optic disc, darker towards its rim, float32 [H, W] or [H, W, 3]."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - centre[0], x - centre[1]) / radius
    level = 0.6 - 0.35 * np.clip(distance, 0, 1) ** 4
    level = level + 0.4 * (np.hypot(y - centre[0], x - centre[1] - radius / 2) < radius / 7)
    level = level - 0.05 * np.random.default_rng(seed).random((height, width))
    level = np.clip(exposure * level * (distance <= 1), 0, 1)
    if channels == 1:
        return level.astype(np.float32)
    return (level[..., None] * np.array([1.0, 0.5, 0.25])).astype(np.float32)


def cut(pixels: np.ndarray) -> np.ndarray:
    """The square around a disc that has to be found."""
    square, cropped = crop_to_retina(pixels)
    assert cropped
    return square


def padded(pixels: np.ndarray, margin: int) -> np.ndarray:
    return np.pad(pixels, [(margin, margin)] * 2 + [(0, 0)] * (pixels.ndim - 2))


def check(pixels: np.ndarray, centre: Centre, radius: float, slack: float) -> None:
    """The square around the disc, to within `slack` pixels, of the image continued with black."""
    square = cut(pixels)
    side = square.shape[0]
    assert square.shape == (side, side, *pixels.shape[2:])
    assert square.dtype == np.float32
    assert abs(side - (2 * radius + 1)) <= 2 * slack
    margin = 2 * int(radius) + 8
    around = padded(pixels, margin)
    places = range(-2 - int(slack), 3 + int(slack))
    top, left = (round(c - (side - 1) / 2) + margin for c in centre)
    matches = [
        (y, x)
        for y in places
        for x in places
        if np.array_equal(around[top + y : top + y + side, left + x : left + x + side], square)
    ]
    assert matches, "the square is no cut of the image, or not around the disc"
    best = min(abs(y) + abs(x) for y, x in matches)
    assert best <= 2 * slack


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("height", "width", "centre", "radius"),
    [
        (44, 60, (21.5, 29.5), 20),
        (101, 151, (50, 75), 45),
        (300, 440, (150, 200), 120),
        (300, 440, (130, 290), 110),
        (440, 300, (180, 150.5), 120.5),
        (511, 767, (255, 420), 200),
        (64, 64, (31.5, 31.5), 31.5),
    ],
)
def test_the_square_is_the_disc_s(height, width, centre, radius, channels) -> None:
    check(photograph(height, width, centre, radius, channels=channels), centre, radius, 1)


@pytest.mark.parametrize("height", [161, 191])
@pytest.mark.parametrize("shift", [0, -11, 11])
def test_a_disc_cut_off_above_and_below_is_padded_not_narrowed(height: int, shift: int) -> None:
    centre = ((height - 1) / 2, 150 + shift)
    pixels = photograph(height, 300, centre, 110)
    square = cut(pixels)
    assert square.shape == (221, 221, 3)
    rows = np.flatnonzero(square.any(axis=(1, 2)))
    above, below = rows[0], 220 - rows[-1]
    assert above + below == 221 - height
    assert abs(above - below) <= 1
    check(pixels, centre, 110, 1)


@pytest.mark.parametrize("turn", range(4))
def test_a_disc_cut_off_at_one_edge_stays_in_the_middle(turn: int) -> None:
    pixels = photograph(200, 300, (70, 150), 100)  # 30 of its 201 rows are above the image
    square = cut(np.rot90(pixels, turn))
    assert square.shape == (201, 201, 3)
    upright = np.rot90(square, -turn)
    assert not upright[:30].any()
    np.testing.assert_array_equal(upright[30:], pixels[:171, 50:251])


def test_a_photograph_without_margins_is_only_made_square() -> None:
    pixels = photograph(200, 240, (99.5, 119.5), 140)
    square = cut(pixels)
    assert square.shape == (240, 240, 3)
    np.testing.assert_array_equal(square[20:220], pixels)
    assert not square[:20].any()
    assert not square[220:].any()


def test_a_fitted_photograph_is_left_as_it_is() -> None:
    pixels = photograph(256, 256, (127.5, 127.5), 127.6)
    np.testing.assert_array_equal(cut(pixels), pixels)
    low = photograph(200, 256, (99.5, 127.5), 127.6)
    fitted = np.pad(low, ((28, 28), (0, 0), (0, 0)))
    np.testing.assert_array_equal(cut(fitted), fitted)


def test_a_dark_rim_on_one_side_does_not_push_the_square_out_of_the_image() -> None:
    pixels = photograph(256, 256, (127.5, 127.5), 127.6)
    pixels[:, :10] = 0
    pixels[0] = 0
    np.testing.assert_array_equal(cut(pixels), pixels[1:, 1:])


def test_a_real_photograph_is_found_again_in_wider_margins() -> None:
    file = Path(pytest.importorskip("skimage.data").__file__).parent / "retina.jpg"
    if not file.is_file():
        pytest.skip("this scikit-image comes without its retina")
    with Image.open(file) as image:  # 1411 x 1411, fills its square
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    square = cut(pixels)
    assert square.shape[0] > 1380
    margins = ((31, 107), (400, 550), (0, 0))
    again = cut(np.pad(pixels, margins))
    difference = again.shape[0] - square.shape[0]
    assert abs(difference) <= 8
    y, x = 700, 700
    patch = pixels[y : y + 64, x : x + 64]
    low = (1411 - again.shape[0]) // 2 - 12
    assert any(
        np.array_equal(patch, again[y - low - a : y - low - a + 64, x - low - b : x - low - b + 64])
        for a in range(25)
        for b in range(25)
    )


@pytest.mark.parametrize("exposure", [0.1, 0.3, 1.6])
def test_dark_and_overexposed_photographs(exposure: float) -> None:
    check(photograph(200, 300, (100, 140), 80, exposure=exposure), (100, 140), 80, 1)


def test_a_background_that_is_not_quite_black() -> None:
    pixels = photograph(200, 300, (100, 140), 80)
    raised = np.maximum(pixels, np.float32(0.06))
    assert abs(cut(raised).shape[0] - 161) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_noise_in_the_background_is_no_retina(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = photograph(300, 440, (150, 200), 120)
    outside = ~inside(300, 440, (150, 200), 120)
    dots = outside & (rng.random(outside.shape) < 0.02)
    grain = np.abs(rng.normal(0, 0.02, pixels.shape)).astype(np.float32)
    noisy = np.where(outside[..., None], grain, pixels)
    noisy[dots] = rng.random((int(dots.sum()), 3))
    assert cut(noisy).shape[0] in range(239, 247)


def test_writing_in_a_corner_is_no_retina() -> None:
    pixels = photograph(300, 440, (150, 220), 120)
    pixels[4:24, 4:90] = 1
    check(pixels, (150, 220), 120, 1)


def test_large_photographs_are_searched_coarsely_and_cut_exactly() -> None:
    pixels = photograph(1700, 2300, (850, 1100), 760)
    started = time.perf_counter()
    square = cut(pixels)
    assert time.perf_counter() - started < 2
    step = 1700 // 512
    assert abs(square.shape[0] - 1521) <= 2 * step
    margin = (square.shape[0] - 1521) // 2
    found = square[margin + 200 : margin + 1321, margin + 200 : margin + 1321]
    cuts = [
        pixels[290 + y : 290 + y + 1121, 540 + x : 540 + x + 1121]
        for y in range(-step, step + 1)
        for x in range(-step, step + 1)
    ]
    assert any(np.array_equal(found, cut) for cut in cuts)


@settings(max_examples=40, deadline=None)
@given(
    dy=st.integers(-24, 24),
    dx=st.integers(-60, 60),
    radius=st.integers(28, 50),
    seed=st.integers(0, 99),
)
def test_moving_the_disc_does_not_change_its_square(dy, dx, radius, seed) -> None:
    disc = photograph(2 * radius + 1, 2 * radius + 1, (radius, radius), radius, seed=seed)
    squares = []
    for top, left in ((80 - radius, 130 - radius), (80 - radius + dy, 130 - radius + dx)):
        pixels = np.zeros((160, 260, 3), dtype=np.float32)
        pixels[top : top + len(disc), left : left + len(disc)] = disc
        squares.append(cut(pixels))
    np.testing.assert_array_equal(*squares)


@pytest.mark.parametrize("channels", [1, 3])
def test_turned_and_mirrored_views_are_read(channels: int) -> None:
    pixels = photograph(201, 301, (100, 150), 80, channels=channels)
    square = cut(pixels)
    for turn in (lambda a: np.rot90(a), lambda a: a[:, ::-1], lambda a: a[::-1]):
        np.testing.assert_array_equal(cut(turn(pixels)), turn(square))


def test_the_square_is_a_copy() -> None:
    pixels = photograph(256, 256, (127.5, 127.5), 127.5)
    cut(pixels)[:] = 0
    assert pixels.any()


FILLED = np.clip(photograph(60, 80, (30, 40), 60) + np.float32(0.3), 0, 1)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((60, 80), 0.7, np.float32),
        FILLED,
        1 - photograph(60, 80, (30, 40), 25, channels=1),
        photograph(300, 400, (150, 200), 30),  # a fortieth of the image
        np.where(np.random.default_rng(0).random((99, 99)) < 0.1, 1, 0).astype(np.float32),
    ],
    ids=["flat", "fills its frame", "bright corners", "tiny", "scattered dots"],
)
def test_where_no_disc_stands_out_the_image_is_taken_whole(pixels: np.ndarray) -> None:
    whole, cropped = crop_to_retina(pixels)
    assert not cropped
    assert find_retina(pixels) is None
    np.testing.assert_array_equal(whole, pixels)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((60, 80, 3), np.float32), "all black: no pixel reaches 0.02"),
        (0.02 * photograph(60, 80, (30, 40), 25), "all black"),
        (np.full((60, 80, 3), 5, np.uint8), "all black"),
        (np.zeros((0, 5), np.float32), r"shape \(0, 5\)"),
        (np.zeros((5, 5, 4), np.float32), r"shape \(5, 5, 4\)"),
        (np.zeros(5, np.float32), r"shape \(5,\)"),
    ],
)
def test_what_is_no_image_is_an_error(pixels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crop_to_retina(pixels)


def test_the_box_is_the_square_s_place() -> None:
    pixels = photograph(300, 440, (150, 200), 120)
    box = find_retina(pixels)
    assert box is not None
    top, left, side = box
    np.testing.assert_array_equal(cut(pixels), pixels[top : top + side, left : left + side])
    assert abs(top - 30) <= 1
    assert abs(left - 80) <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_integers_are_cut_where_their_floats_are(kind: type, channels: int) -> None:
    largest = np.iinfo(kind).max
    for exposure in (0.05, 0.3, 1.0):
        floats = photograph(300, 440, (150, 200), 120, channels=channels, exposure=exposure)
        stored = np.rint(floats * largest).astype(kind)
        square = cut(stored)
        assert square.dtype == kind
        expected = cut(stored.astype(np.float32) / np.float32(largest))
        np.testing.assert_array_equal(square.astype(np.float32) / np.float32(largest), expected)


def test_one_photograph_that_fills_its_frame_does_not_stop_a_set(tmp_path: Path) -> None:
    disc = np.rint(photograph(60, 80, (30, 40), 25) * 255).astype(np.uint8)
    filled = np.rint(FILLED * 255).astype(np.uint8)
    options = ReadOptions(crop="retina")
    for name, pixels, found in (("disc", disc, True), ("filled", filled, False)):
        path = tmp_path / f"{name}.png"
        Image.fromarray(pixels).save(path)
        image, cropped = read_described(path, channels=3, options=options)
        assert cropped == found
        expected = cut(pixels) if found else pixels
        np.testing.assert_allclose(image.numpy(), expected.transpose(2, 0, 1) / 255, atol=1e-7)
        np.testing.assert_array_equal(
            read_pixels(path, options=options), image.numpy().transpose(1, 2, 0)
        )
        assert not read_described(path, channels=1)[1]
    Image.fromarray(np.zeros_like(disc)).save(tmp_path / "black.png")
    with pytest.raises(DataError, match=r"black\.png: .*all black"):
        read_pixels(tmp_path / "black.png", options=options)


def test_a_large_photograph_is_cut_before_it_becomes_floats(tmp_path: Path) -> None:
    pixels = np.zeros((1500, 2000, 3), dtype=np.uint8)
    pixels[inside(1500, 2000, (700, 900), 300)] = 150
    path = tmp_path / "wide.png"
    Image.fromarray(pixels).save(path)
    read_described(path, channels=3)  # imports
    tracemalloc.start()
    image, _ = read_described(path, channels=3, options=ReadOptions(crop="retina"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image.shape[1] in range(601, 606)
    assert peak < 3 * pixels.nbytes  # 4 would be its floats alone
