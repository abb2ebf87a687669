"""APTOS 2019 in miniature: PNG photographs of two sizes, a table; test images without grades."""

from pathlib import Path

from layouts.eyepacs import photograph

OVERRIDES: tuple[str, ...] = ("data.image_size=24",)
EXPECTED: dict[str, int] = {"no_dr": 12, "dr": 12}


def write(root: Path) -> None:
    """24 graded images and 3 without grades, as the competition gave them out."""
    write_part(root, "train.csv", "train_images", range(24))
    write_part(root, "test.csv", "test_images", range(24, 27))
    lines = (root / "test.csv").read_text().splitlines()
    (root / "test.csv").write_text("".join(line.partition(",")[0] + "\n" for line in lines))


def write_pre_split(root: Path) -> None:
    """16 + 4 + 4 images with grades; the last table ends in empty lines."""
    write_part(root, "train_1.csv", "train_images/train_images", range(16))
    write_part(root, "valid.csv", "val_images/val_images", range(16, 20))
    write_part(root, "test.csv", "test_images/test_images", range(20, 24))
    with (root / "test.csv").open("a") as table:
        table.write(",\n" * 5)


def write_part(root: Path, table: str, folder: str, numbers: range) -> None:
    """A table and its folder; every other image has no retinopathy."""
    (root / folder).mkdir(parents=True)
    lines = ["id_code,diagnosis"]
    for k in numbers:
        name = f"{0xA5C31 * (k + 1):012x}"
        size = {"height": 44, "width": 60} if k % 3 else {"height": 40, "width": 48}
        photograph(2000 + k, **size).save(root / folder / f"{name}.png")
        lines.append(f"{name},{k % 2 * (1 + k // 2 % 4)}")
    (root / table).write_text("\n".join(lines) + "\n")
