"""What can be known of a generator's settings before it is trained or asked for samples."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from frerec.data.datamodules import ImageDataModule
from frerec.errors import ConfigError, DataError
from frerec.generators.training import check_training
from frerec.training_tools import check_seeds


def check_training_settings(settings: Mapping[str, Any]) -> None:
    """The generators' own check of ``generator.training``, in the words of its keys.

    Raises:
        ConfigError: Names the key.
    """
    check_seeds(**{"generator.training.seed": settings["seed"]})
    try:
        check_training(**settings)
    except ConfigError as error:
        raise ConfigError(f"generator.training.{error}") from None


def check_withheld(name: str, counts: Mapping[str, int], data: ImageDataModule) -> None:
    """Refuse more samples of a class than there are withheld images of it.

    Args:
        name: The generator's, for messages.
        counts: Samples by class, of all classes in order.
        data: With the withheld images.

    Raises:
        DataError: Names the class.
    """
    there = np.bincount(data.withheld.labels, minlength=len(data.classes)).tolist()
    for (label, wanted), count in zip(counts.items(), there, strict=True):
        if wanted > count:
            raise DataError(
                f"generator={name}: {wanted} samples of class {label} were asked, {count} training"
                " images of it are withheld; set a smaller samples.ratio or data.train_size"
            )
