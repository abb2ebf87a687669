"""What ``frerec diagnose`` finds in sets of all kinds."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fixtures import textured_images, write_tree
from frerec.calibration import load_calibrator
from frerec.diagnosis import Settings
from frerec.diagnosis import diagnose as compute

COUNT = 24

Measure = Callable[..., dict[str, Any]]


def test_a_set_against_itself_is_at_distance_zero_and_not_told_apart(
    folders: Path, measured: Measure
) -> None:
    found = measured(synthetic=str(folders / "real"))
    before = found["comparisons"]["before"]
    assert before["lsd_db"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    for kind in ("logistic", "rbf_svm"):
        assert before["detectors"]["trained_anew"][kind]["value"] == pytest.approx(0.5, abs=0.02)
    assert found["shared_images"] == COUNT
    assert any("same pixels" in line for line in found["warnings"])


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_black_and_constant_images_work_and_are_named(
    folders: Path, tmp_path: Path, level: float
) -> None:
    names = [f"{i}.png" for i in range(22)]
    write_tree(tmp_path / "s", torch.full((22, 1, 32, 32), level), names)
    given = Settings(str(folders / "real"), str(tmp_path / "s"), shown=1)
    found = compute(given, load_calibrator(folders / "model"), progress=False).numbers
    assert any("22 of 22 synthetic images are of one colour" in w for w in found["warnings"])


def test_a_zip_gives_the_numbers_of_its_folder(
    folders: Path, tmp_path: Path, measured: Measure
) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for path in sorted((folders / "synthetic").rglob("*.png")):
            archive.write(path, path.relative_to(folders / "synthetic").as_posix())
    zipped = measured(synthetic=str(tmp_path / "s.zip"))
    assert zipped["comparisons"] == measured()["comparisons"]


def test_differences_of_format_size_and_colour_are_warned_of(
    folders: Path, tmp_path: Path, measured: Measure
) -> None:
    colour = textured_images(COUNT, channels=3, height=48, width=48, seed=3)
    write_tree(tmp_path / "s", colour, [f"{i}.jpg" for i in range(COUNT)])
    found = measured(synthetic=str(tmp_path / "s"), image_size=32)
    text = " ".join(found["warnings"])
    for part in ("compression: JPEG is 100 %", "in size", "in colour mode", "0 real and 24 synth"):
        assert part in text
    assert found["image_shape"] == [1, 32, 32]
    enlarged = measured(synthetic=str(tmp_path / "s"), image_size=40)["warnings"]
    assert any("24 real images were enlarged" in line for line in enlarged)


def test_a_table_of_patients_keeps_them_together(
    folders: Path, tmp_path: Path, measured: Measure
) -> None:
    names = sorted(p.relative_to(folders / "real") for p in (folders / "real").rglob("*.png"))
    lines = [f"{name.as_posix()},p{k // 3}" for k, name in enumerate(names)]
    table = tmp_path / "groups.csv"
    table.write_text("\n".join(["image,group", *lines]) + "\n")
    found = measured(groups=str(table))
    assert found["groups"] == {"source": "the table of patients", "real": 8}


def test_an_unreadable_image_is_left_out_and_counted_where_asked(
    folders: Path, tmp_path: Path, measured: Measure
) -> None:
    write_tree(tmp_path / "s", textured_images(3, seed=4), ["0.png", "1.png", "2.png"])
    whole = (tmp_path / "s" / "1.png").read_bytes()
    (tmp_path / "s" / "1.png").write_bytes(whole[: len(whole) // 2])
    found = measured(synthetic=str(tmp_path / "s"), on_error="skip")
    assert found["sets"]["synthetic"]["images"] == 2
    assert found["sets"]["synthetic"]["skipped"] == 1
    assert any("1 synthetic images could not be read" in w for w in found["warnings"])


def test_one_image_a_set_has_distances_but_no_interval_and_no_detector(
    tmp_path: Path, measured: Measure
) -> None:
    for name, seed in (("r", 1), ("s", 2)):
        write_tree(tmp_path / name, textured_images(1, seed=seed), ["one.png"])
    found = measured(real=str(tmp_path / "r"), synthetic=str(tmp_path / "s"))
    before = found["comparisons"]["before"]
    assert before["lsd_high_db"]["value"] > 0
    assert before["lsd_high_db"]["low"] is None
    linear = before["detectors"]["trained_anew"]["logistic"]
    assert linear["value"] is None
    assert "at least 20" in linear["reason"]
