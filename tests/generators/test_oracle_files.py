"""The oracle's images as files: dose 0 keeps every bit of what the stack holds."""

import json

import pytest
from torch import Tensor

from datamodules import module, ready
from fixtures import textured_images, write_tree
from frerec.data.datamodules import ChestXray, Fundus
from frerec.data.decode import build_stack
from frerec.data.decoding import Decoding
from frerec.generators.oracle import Oracle
from frerec.samples import load_samples, write_samples


def as_set(images: Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


@pytest.mark.parametrize(("height", "channels", "bits"), [(32, 1, 8), (48, 1, 16), (48, 3, 16)])
def test_at_dose_0_its_files_are_read_as_exactly_the_withheld_images(
    tmp_path, height, channels, bits
):
    pictures = textured_images(36, height=height, width=height, channels=channels, seed=4)
    write_tree(tmp_path / "set", pictures, [f"{'ab'[k % 2]}/{k:02d}.png" for k in range(36)])
    kind = ChestXray if channels == 1 else Fundus
    data = ready(module(tmp_path / "set", kind, image_size=32, train_size=4))
    assert data.stack.dtype == f"uint{bits}"
    generator = Oracle(num_classes=2, channels=channels, image_size=32, dose=0)
    generator.fit(data, directory=tmp_path / "oracle")
    counts = {name: generator.available(i) for i, name in enumerate("ab")}
    write_samples(generator, counts, "ab", tmp_path / "out", seed=3, bits=bits)
    assert json.loads((tmp_path / "out" / "samples.json").read_text())["bits"] == bits
    listed = load_samples(tmp_path / "out", classes="ab")
    stack, _, skipped = build_stack(listed, tmp_path / "stack.npy", Decoding(channels, 32))
    assert not skipped
    assert stack.dtype == data.stack.dtype
    assert as_set(stack.tensor()) == as_set(data.withheld.stack.tensor())
