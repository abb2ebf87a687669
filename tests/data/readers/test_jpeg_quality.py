"""readers.jpeg_quality: against the quality that Pillow was asked for."""

import io

import numpy as np
import pytest
from PIL import Image

from frerec.data.readers.jpeg_quality import jpeg_quality

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 16), dtype=np.uint8)


def tables(**settings: object) -> dict[int, list[int]]:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, format="JPEG", **settings)
    with Image.open(file) as image:
        return image.quantization


@pytest.mark.parametrize("quality", range(1, 101))
def test_every_quality_of_the_standard_encoder_is_read_back(quality: int) -> None:
    found = jpeg_quality(tables(quality=quality))
    # Below 3 the clamp to 255 makes tables equal.
    assert found == quality or tables(quality=found) == tables(quality=quality)


def test_tables_of_other_encoders_get_the_nearest_quality() -> None:
    table = [value + 1 for value in tables(quality=80)[0]]
    assert abs(jpeg_quality({0: table}) - 80) <= 3
