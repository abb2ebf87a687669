"""The datamodules of the modalities, and the factory that configs name."""

import inspect
from typing import Any

from frerec.data.image_datamodule import ImageDataModule
from frerec.data.sources import Source
from frerec.errors import ConfigError

__all__ = ["DATAMODULES", "BrainMRI", "ChestXray", "Fundus", "ImageDataModule", "build"]


class BrainMRI(ImageDataModule):
    """Brain MRI slices, grey."""

    modality = "brain_mri"
    channels = 1


class ChestXray(ImageDataModule):
    """Chest radiographs, grey."""

    modality = "chest_xray"
    channels = 1


class Fundus(ImageDataModule):
    """Fundus photographs, colour."""

    modality = "fundus"
    channels = 3


DATAMODULES: dict[str, type[ImageDataModule]] = {
    module.modality: module for module in (BrainMRI, ChestXray, Fundus)
}


def build(*, modality: str, source: Source, **settings: Any) -> ImageDataModule:
    """Make the modality's datamodule from the flat keys of a config group.

    A group keeps the source's settings (`root`, `label_column`, ...) beside those of the
    datamodule, where they are short to type, and its `source` node refers to them; so they are
    expected here, and passed over.

    Raises:
        ConfigError: another modality, or a key that neither the datamodule nor the source has.
    """
    if modality not in DATAMODULES:
        raise ConfigError(f"data.modality={modality}: expected one of {', '.join(DATAMODULES)}")
    own = set(inspect.signature(ImageDataModule.__init__).parameters)
    of_source = set(inspect.signature(type(source).__init__).parameters)
    unknown = sorted(set(settings) - own - of_source)
    if unknown:
        raise ConfigError(
            f"data.{unknown[0]}: no such setting of the data; it has "
            f"{', '.join(sorted((own | of_source) - {'self'}))}"
        )
    return DATAMODULES[modality](
        source, **{key: value for key, value in settings.items() if key in own}
    )
