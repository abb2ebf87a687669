"""Labels that lie beside a tree of images: StyleGAN's ``dataset.json``, or ``labels.csv``."""

import json
from collections.abc import Sequence
from typing import Any

from frerec.data.tree import Tree, read_table
from frerec.errors import DataError

STYLEGAN = "dataset.json"
TABLE = "labels.csv"


def labels_beside(tree: Tree, names: Sequence[str]) -> tuple[list[str | None] | None, list[str]]:
    """Labels of images by their names in the tree, and warnings.

    ``dataset.json`` is what StyleGAN's data set tool writes: ``{"labels": [[name, label], ...]}``
    with whole numbers, or null for no labels. ``labels.csv`` counts where it has the columns image
    and label.

    Returns:
        A label or None for each name, and one-line warnings; None where there are no labels.

    Raises:
        DataError: If ``dataset.json`` is not of that form.
    """
    if STYLEGAN in tree:
        found, source = _stylegan(tree), STYLEGAN
    elif TABLE in tree:
        found, source = _table(tree), TABLE
    else:
        return None, []
    if found is None:
        return None, []
    labels = [found.get(name) or None for name in names]
    absent = sum(label is None for label in labels)
    notes = []
    if absent:
        notes.append(
            f"{tree.name}: {source} has no label for {absent} of {len(names)} images; they are"
            " left out of labels.csv"
        )
    return (labels if absent < len(names) else None), notes


def _stylegan(tree: Tree) -> dict[str, str] | None:
    name = tree.blob(STYLEGAN).name
    try:
        content: Any = json.loads(tree.blob(STYLEGAN).read())
        rows = content.get("labels")
        if rows is None:
            return None
        found = {}
        for image, label in rows:
            if not isinstance(label, int | str):
                raise TypeError(f"the label of {image} is no whole number")
            found[str(image)] = str(label)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{name}: not a table of labels ({' '.join(str(error).split())}); expected"
            ' {"labels": [["image.png", 0], ...]} or null labels; correct or remove it'
        ) from None
    return found


def _table(tree: Tree) -> dict[str, str] | None:
    table = read_table(tree, TABLE)
    if "image" not in table or "label" not in table:
        return None
    return dict(zip(table["image"].tolist(), table["label"].tolist(), strict=True))
