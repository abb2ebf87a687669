"""PNG files of 8 and 16 bits, grey and colour, read back by others."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_image, read_file

from frerec.data.png import write_png
from frerec.errors import ConfigError


def random_levels(channels: int, bits: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 2**bits, (channels, 13, 7))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_libpng_reads_exactly_what_was_written(tmp_path, channels, bits):
    levels = random_levels(channels, bits)
    image = torch.from_numpy(levels / (2**bits - 1)).float()
    write_png(image, tmp_path / "deep" / "x.png", bits=bits)
    path = tmp_path / "deep" / "x.png"
    found = decode_image(read_file(str(path)), mode=ImageReadMode.UNCHANGED)
    np.testing.assert_array_equal(found.numpy(), levels)
    with Image.open(path) as picture:
        picture.verify()  # checksums
    assert [p.name for p in path.parent.iterdir()] == ["x.png"]


def test_colour_of_16_bits_is_compressed(tmp_path):
    ramp = torch.linspace(0, 1, 64).expand(3, 64, 64)
    write_png(ramp, tmp_path / "x.png", bits=16)
    assert (tmp_path / "x.png").stat().st_size < 64 * 64 * 6 / 4


@pytest.mark.parametrize("bits", [1, 12, 32])
def test_other_depths_are_refused(tmp_path, bits):
    with pytest.raises(ConfigError, match=f"bits={bits}: expected 8 or 16"):
        write_png(torch.zeros(1, 4, 4), tmp_path / "x.png", bits=bits)
    assert not any(tmp_path.iterdir())
