"""The calibrator that changes nothing."""

from typing import Any, ClassVar, Self

from torch import Tensor

from frerec.calibration.base import Calibrator, Groups, check_images


class Identity(Calibrator):
    """Returns its input: the uncalibrated arms of a comparison."""

    name: ClassVar[str] = "identity"

    def fit(self, images: Tensor, groups: Groups = None) -> Self:  # noqa: ARG002
        """Nothing to learn."""
        check_images(images, what="real images")
        return self

    def forward(self, images: Tensor) -> Tensor:
        """The same tensor."""
        check_images(images)
        return images

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
