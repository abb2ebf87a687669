"""Labels that lie beside a tree of images: StyleGAN's ``dataset.json``, or ``labels.csv``."""

from collections.abc import Sequence

from frerec.data.side_labels import STYLEGAN, TABLE, stylegan_rows, table_rows
from frerec.data.tree import Tree


def labels_beside(tree: Tree, names: Sequence[str]) -> tuple[list[str | None] | None, list[str]]:
    """Labels of images by their names in the tree, and warnings.

    ``labels.csv`` counts where there is no ``dataset.json`` and it has the columns image and label;
    see :mod:`frerec.data.side_labels`.

    Returns:
        A label or None for each name, and one-line warnings; None where there are no labels.

    Raises:
        DataError: If ``dataset.json`` is not of StyleGAN's form.
    """
    if STYLEGAN in tree:
        rows, source = stylegan_rows(tree), STYLEGAN
    elif TABLE in tree:
        rows, source = table_rows(tree), TABLE
    else:
        return None, []
    if rows is None:
        return None, []
    found = dict(rows)
    labels = [found.get(name) or None for name in names]
    absent = sum(label is None for label in labels)
    notes = []
    if absent:
        notes.append(
            f"{tree.name}: {source} has no label for {absent} of {len(names)} images; they are"
            " left out of labels.csv"
        )
    return (labels if absent < len(names) else None), notes
