"""IDRiD in miniature: the names of the training set again in the testing set, odd tables."""

from pathlib import Path

from layouts.eyepacs import photograph

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_dr": 12, "dr": 12}


def write(root: Path) -> None:
    """16 images to train and 8 to test; the disc is cut off at the top and bottom."""
    base = root / "B. Disease Grading"
    tables = base / "2. Groundtruths"
    tables.mkdir(parents=True)
    for letter, part, count in (("a", "Training", 16), ("b", "Testing", 8)):
        folder = base / f"1. Original Images/{letter}. {part} Set"
        folder.mkdir(parents=True)
        lines = ["Image name,Retinopathy grade,Risk of macular edema ,,,,"]
        for k in range(count):
            seed = 3000 + k + (500 if part == "Testing" else 0)
            image = photograph(seed, height=38, width=60, radius=24)
            image.save(folder / f"IDRiD_{k + 1:03}.jpg", quality=95)
            grade = k % 2 * (1 + k // 2 % 4)
            lines.append(f"IDRiD_{k + 1:03},{grade},{min(grade, 2)},,,,")
        lines.append(",,,,,,")
        table = tables / f"{letter}. IDRiD_Disease Grading_{part} Labels.csv"
        table.write_text("\r\n".join(lines) + "\r\n", newline="")
