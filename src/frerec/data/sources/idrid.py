"""IDRiD: Indian Diabetic Retinopathy Image Dataset, the part for grading."""

import posixpath
import re

from frerec.data.sources.layout import locate, require_some
from frerec.data.sources.retinopathy_grades import Part, RetinopathySource, find, read_grades
from frerec.data.tree import Tree

URL = "https://ieee-dataport.org/open-access/indian-diabetic-retinopathy-image-dataset-idrid"
_IMAGES = "1. Original Images"
_PARTS = {
    "train": ("a. Training Set", "a. IDRiD_Disease Grading_Training Labels.csv"),
    "test": ("b. Testing Set", "b. IDRiD_Disease Grading_Testing Labels.csv"),
}
_LAYOUT = (
    f"B. Disease Grading/{_IMAGES}/{{a. Training Set,b. Testing Set}}/IDRiD_001.jpg, ... and "
    f"B. Disease Grading/2. Groundtruths/*.csv"
)


class IdridSource(RetinopathySource):
    """`B. Disease Grading` as published: 413 images to train and 103 to test, 4288 x 2848 JPEG.

    `1. Original Images/{a. Training Set,b. Testing Set}` and the two tables in `2. Groundtruths`
    (`Image name`, `Retinopathy grade`, ...; unnamed empty columns, empty lines). Both sets count
    their images from IDRiD_001, which are different photographs; each is looked for in its own
    folder. One camera, one clinic; patients are not published. CC BY 4.0.

    Args:
        root: `B. Disease Grading`, the folder above it, or a zip archive of either.
        threshold: least grade of the positive class, 1 to 4; None keeps the five grades.
    """

    dataset = "idrid"

    def parts(self, tree: Tree) -> list[Part]:
        """See `RetinopathySource`."""
        parts = []
        for split, (part, file) in _PARTS.items():
            table = locate(tree, file, _LAYOUT, URL)
            graded = read_grades(
                tree, table, "Image name", "Retinopathy grade", hint=f"get it from {URL}"
            )
            folder = posixpath.join(posixpath.dirname(posixpath.dirname(table)), _IMAGES, part)
            prefer = [re.escape(folder)]
            images = find(tree, graded.names, f"{folder}/{{}}.jpg", folder=folder, prefer=prefer)
            require_some(tree, images, _LAYOUT, URL)
            parts.append(Part(images, graded.grades, split))
        return parts
