"""resize: against Pillow's own filter."""

import numpy as np
import pytest
import torch
from PIL import Image

from frerec.data.resize import resize, scale_factor

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [16, 23])
def test_resizing_is_pillows_antialiased_bicubic(size: int) -> None:
    rows, columns = np.mgrid[:64, :64]
    image = np.float32(0.5 + 0.3 * np.sin(rows / 5) * np.cos(columns / 7))
    image += RNG.normal(0, 0.05, image.shape).astype(np.float32)
    image = image.clip(0, 1)
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))
    ours = resize(torch.from_numpy(image)[None], size)[0].numpy()
    np.testing.assert_allclose(ours, expected.clip(0, 1), atol=1e-5)


def test_resizing_removes_frequencies_above_the_new_nyquist() -> None:
    stripes = torch.zeros(1, 64, 64)
    stripes[..., ::2] = 1
    assert torch.allclose(resize(stripes, 16)[..., 2:-2], torch.tensor(0.5), atol=0.01)


def test_images_that_are_not_square_are_padded_cropped_or_stretched() -> None:
    image = torch.rand(1, 32, 64)
    padded = resize(image, 32, fit="pad")
    assert padded.shape == (1, 32, 32)
    assert padded[:, :8].abs().max() == 0
    assert padded[:, 24:].abs().max() == 0
    reference = torch.nn.functional.interpolate(
        image[None], size=(16, 32), mode="bicubic", antialias=True
    )[0].clamp(0, 1)
    assert torch.equal(padded[:, 8:24], reference)
    assert torch.equal(resize(image, 32, fit="crop"), image[..., 16:48])
    stretched = resize(image, 32, fit="stretch").numpy()[0]
    expected = Image.fromarray(image[0].numpy()).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(stretched, np.asarray(expected).clip(0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "size", "fit", "expected"),
    [
        (64, 128, 32, "pad", 0.25),
        (64, 128, 32, "crop", 0.5),
        (64, 128, 32, "stretch", 0.5),
        (24, 20, 32, "pad", 32 / 24),
        (24, 20, None, "pad", 1.0),
        (32, 32, 32, "crop", 1.0),
    ],
)
def test_the_scale_is_the_side_after_over_the_side_before(height, width, size, fit, expected):
    assert scale_factor(height, width, size, fit) == expected
