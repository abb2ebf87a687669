"""contact_sheet: the sheets hold the images that they say, and write nothing else."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from fixtures import textured_images
from frerec.data.audit.contact_sheet import write_contact_sheets, write_pair_sheet
from frerec.data.audit.drawing import TILE, thumbnail
from frerec.data.audit.duplicates import Duplicates
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack, stack_from_tensor

N = 60
SIDE = 24
ENLARGED = TILE // SIDE * SIDE


@pytest.fixture
def written(monkeypatch) -> list[str]:
    """All texts that are drawn."""
    texts: list[str] = []
    draw = ImageDraw.ImageDraw.text

    def spy(self, place, text, *args, **kwargs):
        texts.append(text)
        return draw(self, place, text, *args, **kwargs)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", spy)
    return texts


def case(
    tmp_path: Path, labels: list[str], splits: list[str], channels: int = 1
) -> tuple[Manifest, ImageStack]:
    manifest = Manifest.build(
        tmp_path,
        images=[f"smith/{i:02d}.png" for i in range(N)],
        labels=labels,
        splits=splits,
        groups=["smith"] * N,
        dataset="clinic",
    )
    images = textured_images(N, channels=channels, height=SIDE, width=SIDE)
    return manifest, stack_from_tensor(images, tmp_path / "stack.npy", "uint8")


LABELS = ["ill", "well"] * (N // 2)
SPLITS = (["train"] * 7 + ["test"] * 3) * (N // 10)


def tiles(sheet: Path, count: int, columns: int) -> list[np.ndarray]:
    """The pictures on a sheet, cut out where they should be."""
    page = np.asarray(Image.open(sheet).convert("L"))
    left, top, gap = 20, 80, TILE + 8
    high = TILE + 16 + 8
    corners = [(top + k // columns * high, left + k % columns * gap) for k in range(count)]
    edge = (TILE - ENLARGED) // 2
    return [
        page[y + edge : y + edge + ENLARGED, x + edge : x + edge + ENLARGED] for y, x in corners
    ]


def test_a_sheet_shows_the_rows_that_its_captions_say(tmp_path: Path, written) -> None:
    manifest, stack = case(tmp_path, LABELS, SPLITS)
    files = write_contact_sheets(manifest, stack, tmp_path / "out", images=10)
    assert [file.name for file in files] == ["ill.png", "well.png"]
    captions = [text for text in written if text.split()[0] in ("train", "test")]
    assert len(captions) == 20
    for caption, tile in zip(captions[:10], tiles(files[0], 10, 8), strict=True):
        split, row = caption.split()
        assert manifest.table["split"].iat[int(row)] == split
        assert manifest.table["label"].iat[int(row)] == "ill"
        levels = (stack.tensor(int(row))[0] * 255).round().byte().numpy()
        np.testing.assert_array_equal(tile, np.kron(levels, np.ones((ENLARGED // SIDE,) * 2)))


def test_the_choice_is_spread_over_splits_and_repeats(tmp_path: Path, written) -> None:
    manifest, stack = case(tmp_path, ["well"] * N, SPLITS)
    (file,) = write_contact_sheets(manifest, stack, tmp_path / "a", images=25)
    captions = [text.split()[0] for text in written if text.split()[0] in ("train", "test")]
    assert (captions.count("train"), captions.count("test")) == (13, 12)
    (again,) = write_contact_sheets(manifest, stack, tmp_path / "b", images=25)
    (other,) = write_contact_sheets(manifest, stack, tmp_path / "c", images=25, seed=1)
    assert file.read_bytes() == again.read_bytes() != other.read_bytes()


def test_small_sets_are_shown_whole_and_none_if_none_are_asked_for(tmp_path: Path) -> None:
    manifest, stack = case(tmp_path, ["rare"] * 2 + ["well"] * (N - 2), [""] * N)
    rare, well = write_contact_sheets(manifest, stack, tmp_path / "out")
    assert Image.open(rare).width == Image.open(well).width
    assert Image.open(rare).height < Image.open(well).height
    assert write_contact_sheets(manifest, stack, tmp_path / "none", images=0) == []


def test_neither_files_nor_patients_are_named(tmp_path: Path, written) -> None:
    manifest, stack = case(tmp_path, LABELS, SPLITS)
    write_contact_sheets(manifest, stack, tmp_path / "out")
    rows = np.array([[0, 9, 2], [1, 7, 4]])
    found = Duplicates(manifest, rows, np.zeros(2, dtype=bool), True)
    write_pair_sheet(found, stack, tmp_path / "pairs.png")
    assert not [text for text in written if "smith" in text or "/" in text or "p-" in text]


def test_names_of_classes_make_safe_and_different_files(tmp_path: Path) -> None:
    names = ["a/b", "a b", "../..", "Größe", "A_B"]
    manifest, stack = case(tmp_path, names * (N // 5), SPLITS)
    files = write_contact_sheets(manifest, stack, tmp_path / "out", images=2)
    assert len({file.name.lower() for file in files}) == 5
    assert {file.parent for file in files} == {tmp_path / "out"}
    assert all(file.is_file() for file in files)


def test_long_texts_are_cut_to_the_page(tmp_path: Path, written) -> None:
    manifest, stack = case(tmp_path, ["a rather long name of a class " * 5] * N, SPLITS)
    write_contact_sheets(manifest, stack, tmp_path / "out", images=8)
    assert written[0].endswith("…")


def test_pairs_run_from_the_nearest_to_the_furthest_and_no_image_comes_twice(
    tmp_path: Path, written
) -> None:
    manifest, stack = case(tmp_path, LABELS, ["train"] * 30 + ["test"] * 30, channels=3)
    across = [[i, i + 30, i] for i in range(25)] + [[0, 31, 1]]
    within = [[26, 27, 0]]
    exact = [[28, 58, 0]]
    rows = np.array([*exact, *within, *across])
    found = Duplicates(manifest, rows, np.arange(len(rows)) < 1, True)
    path = write_pair_sheet(found, stack, tmp_path / "pairs.png", pairs=5)
    assert path == tmp_path / "pairs.png"
    shown = [int(text.split()[-2]) for text in written if text.endswith(" bits")]
    assert shown == [0, 6, 12, 18, 24]
    assert "5 of 26 pairs" in written[1]
    assert "across splits" in written[0]


def test_pairs_within_splits_are_shown_where_there_are_no_others(tmp_path: Path, written) -> None:
    manifest, stack = case(tmp_path, LABELS, [""] * N)
    one = Duplicates(manifest, np.array([[3, 4, 8]]), np.array([False]), True)
    assert write_pair_sheet(one, stack, tmp_path / "pairs.png") is not None
    assert "across" not in written[0]
    assert "row 3  ·  8 bits" in [text.replace(" · ", "  ·  ") for text in written]
    none = Duplicates(manifest, np.array([[3, 4, 0]]), np.array([True]), True)
    assert write_pair_sheet(none, stack, tmp_path / "other.png") is None
    assert not (tmp_path / "other.png").exists()


def test_thumbnails_keep_proportions_and_enlarge_by_whole_numbers() -> None:
    tall, small = textured_images(1, height=400, width=100)[0], textured_images(1, height=50)[0]
    assert thumbnail(tall).size == (TILE // 4, TILE)
    assert thumbnail(small).size == (64, 100)
    assert thumbnail(textured_images(1, channels=3)[0]).mode == "RGB"
