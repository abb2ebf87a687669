"""The calibrator that changes nothing."""

from typing import Any, ClassVar

from torch import Tensor

from frerec.calibration.base import Calibrator
from frerec.calibration.rows import ImageRows, check_images


class Identity(Calibrator):
    """Returns its input: the uncalibrated arms of a comparison."""

    name: ClassVar[str] = "identity"

    def _fit(self, images: ImageRows, groups: Tensor, **_: Any) -> None:
        """Nothing to learn."""

    def forward(self, images: Tensor) -> Tensor:
        """The same tensor."""
        check_images(images)
        return images

    def config(self) -> dict[str, Any]:
        """No arguments."""
        return {}
