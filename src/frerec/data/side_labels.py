"""Labels that lie beside a tree of images: StyleGAN's ``dataset.json``, or ``labels.csv``."""

import json
from typing import Any

from frerec.data.tree import Tree, read_table
from frerec.errors import DataError

STYLEGAN = "dataset.json"
TABLE = "labels.csv"


def stylegan_rows(tree: Tree) -> list[tuple[str, str]] | None:
    """Names and labels of ``dataset.json``, in its order; None where it says null.

    It is what StyleGAN's data set tool writes: ``{"labels": [[name, label], ...]}`` with whole
    numbers, or null for no labels.

    Raises:
        DataError: If it is not of that form.
    """
    name = tree.blob(STYLEGAN).name
    try:
        content: Any = json.loads(tree.blob(STYLEGAN).read())
        rows = content.get("labels")
        if rows is None:
            return None
        found = []
        for image, label in rows:
            if not isinstance(label, int | str):
                raise TypeError(f"the label of {image} is no whole number")
            found.append((str(image), str(label)))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{name}: not a table of labels ({' '.join(str(error).split())}); expected"
            ' {"labels": [["image.png", 0], ...]} or null labels; correct or remove it'
        ) from None
    return found


def table_rows(tree: Tree) -> list[tuple[str, str]] | None:
    """Names and labels of ``labels.csv``; None where it has not both columns, image and label.

    Raises:
        DataError: If it is no CSV table.
    """
    table = read_table(tree, TABLE)
    if "image" not in table or "label" not in table:
        return None
    return list(zip(table["image"].tolist(), table["label"].tolist(), strict=True))
