"""Messidor-2 in miniature: PNG and JPG, suffixes in the wrong case, pairs, ungradable images."""

from pathlib import Path

from layouts.eyepacs import photograph

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_dr": 13, "dr": 12}
EXAMINATIONS = 13


def names(k: int) -> tuple[str, str]:
    """Files of the left and right eye of one examination."""
    if k < 6:
        return f"20051020_{43808 + k}_0100_PP.png", f"20051020_{53808 + k}_0100_PP.png"
    return f"IM{2 * k + 1:06}.JPG", f"IM{2 * k:06}.JPG"


def write(root: Path) -> None:
    """13 examinations, one ungradable eye; the grades say `.jpg`, the files `.JPG`."""
    (root / "IMAGES").mkdir(parents=True)
    grades = ["image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable"]
    pairs = ["left;right "]
    for k in range(EXAMINATIONS):
        for side, name in enumerate(names(k)):
            quality = {"quality": 95} if name.endswith("JPG") else {}
            photograph(4000 + 2 * k + side).save(root / "IMAGES" / name, **quality)
            grade = k % 2 * (1 + (k // 2 + side) % 4)
            ungradable = (k, side) == (EXAMINATIONS - 1, 1)
            cells = ",,0" if ungradable else f"{grade},{int(grade > 2)},1"
            grades.append(f"{name.replace('.JPG', '.jpg')},{cells}")
        pairs.append(";".join(names(k)))
    (root / "messidor_data.csv").write_text("\n".join(grades) + "\n")
    (root / "messidor-2.csv").write_text("\r\n".join(pairs) + "\r\n", newline="")
