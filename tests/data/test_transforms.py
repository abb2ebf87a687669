"""transforms: augmentation keeps what training relies on."""

import pytest
import torch

from frerec.data.transforms import training_augmentation
from frerec.errors import ConfigError


@pytest.mark.parametrize("modality", ["brain_mri", "chest_xray", "fundus"])
@pytest.mark.parametrize("shape", [(1, 24, 24), (3, 20, 24)])
def test_augmentation_keeps_shape_type_and_range_and_follows_the_seed(modality, shape) -> None:
    augment = training_augmentation(modality)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    before = image.clone()
    torch.manual_seed(0)
    first = [augment(image) for _ in range(12)]
    torch.manual_seed(0)
    again = [augment(image) for _ in range(12)]
    for a, b in zip(first, again, strict=True):
        assert type(a) is torch.Tensor
        assert (a.shape, a.dtype) == (image.shape, image.dtype)
        assert a.min() >= 0
        assert a.max() <= 1
        assert torch.equal(a, b)
    assert torch.equal(image, before)
    assert len({float(a.sum()) for a in first}) > 6


def test_only_modalities_without_a_left_and_right_are_flipped() -> None:
    ramp = torch.linspace(0.2, 0.8, 32).expand(1, 32, 32)
    for modality, flips in (("chest_xray", False), ("brain_mri", True), ("fundus", True)):
        augment = training_augmentation(modality)
        torch.manual_seed(0)
        rising = [
            (a[..., -8:].mean() > a[..., :8].mean()).item() for a in map(augment, [ramp] * 60)
        ]
        assert all(rising) is not flips
    with pytest.raises(ConfigError, match="brain_mri, chest_xray, fundus"):
        training_augmentation("ct")
