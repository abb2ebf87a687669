"""spectra: confounds planted in one class are found, and nothing is where nothing was planted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from fixtures import textured_images
from frerec.data.audit import spectra as module
from frerec.data.audit.measures import high_share
from frerec.data.audit.spectra import measure, spectra
from frerec.data.manifest import Manifest
from frerec.data.stack import ImageStack, stack_from_tensor

N = 80
ILL = np.arange(N) % 2 == 0


def case(tmp_path: Path, images: Tensor, **facts: object) -> tuple[Manifest, ImageStack]:
    """Images [80, C, H, W], every other one ill, as a manifest and its stack."""
    H, W = images.shape[-2:]
    manifest = Manifest.build(
        tmp_path,
        images=[f"{i:02d}.png" for i in range(N)],
        labels=np.where(ILL, "ill", "well").tolist(),
    )
    alike = {"format": "PNG", "height": H, "width": W, "scale": 1.0}
    columns = {
        name: pd.array(np.broadcast_to(np.asarray(value), N).tolist())
        for name, value in {**alike, **facts}.items()
    }
    return manifest.with_columns(**columns), stack_from_tensor(images, tmp_path / "stack.npy")


def plain(channels: int = 1) -> Tensor:
    return textured_images(N, channels=channels)


def codes(found: tuple[Manifest, ImageStack]) -> set[str]:
    return {finding.code for finding in spectra(*found)[1]}


@pytest.mark.parametrize("channels", [1, 3])
def test_classes_treated_alike_raise_nothing(tmp_path: Path, channels: int) -> None:
    assert codes(case(tmp_path, plain(channels))) == set()


def test_a_blurred_class_is_told_by_its_high_frequencies(tmp_path: Path) -> None:
    images = plain().numpy()
    images[ILL] = gaussian_filter(images[ILL], (0, 0, 1, 1))
    found = case(tmp_path, torch.from_numpy(images))
    report, findings = spectra(*found)
    assert [f.code for f in findings] == ["high_share_by_class"]
    assert report["classes"]["ill"]["auc"]["high_share"]["value"] < 0.1
    assert report["classes"]["well"]["auc"]["high_share"]["value"] > 0.9
    expected = np.quantile(high_share(found[1].tensor(np.flatnonzero(ILL))), [0.25, 0.5, 0.75])
    assert list(report["classes"]["ill"]["high_share"].values()) == pytest.approx(
        expected, abs=1e-6
    )


def test_specks_are_reported_and_by_class_where_they_go_with_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def speckle(images: Tensor, which: np.ndarray) -> Tensor:
        images = (images * 0.5 + 0.4).clamp(0, 1)
        for i in np.flatnonzero(which):
            for k in range(8):  # never side by side
                images[i, :, 3 + 4 * (k // 4), 3 + 6 * (k % 4)] = 0.0
        return images

    everyone = spectra(*case(tmp_path, speckle(plain(), rng.random(N) < 0.5)))
    assert [f.code for f in everyone[1]] == ["specks"]
    ill = spectra(*case(tmp_path, speckle(plain(), ILL)))
    # Specks are high frequencies, so these tell the class too.
    assert [f.code for f in ill[1]] == ["high_share_by_class", "specks_by_class", "specks"]
    assert ill[0]["classes"]["ill"]["speckled"] == 1.0
    assert ill[0]["classes"]["well"]["speckled"] == 0.0
    assert ill[0]["classes"]["ill"]["specks"]["median"] == 8.0


def blocky() -> Tensor:
    """Images with a step of random size between neighbouring 8 x 8 blocks."""
    offsets = torch.from_numpy(np.random.default_rng(0).normal(0, 0.08, (N, 1, 4, 4))).float()
    return (plain() + torch.nn.functional.interpolate(offsets, scale_factor=8)).clamp(0, 1)


def test_blocks_are_measured_on_untouched_jpegs_only(tmp_path: Path) -> None:
    jpeg = case(tmp_path, blocky(), format="JPEG")
    report, findings = spectra(*jpeg)
    assert [f.code for f in findings] == ["blockiness"]
    assert report["classes"]["ill"]["blocks_measured"] == N // 2
    for other in ({"format": "PNG"}, {"scale": 0.5}, {"width": 30}):
        report, findings = spectra(*case(tmp_path, blocky(), **{"format": "JPEG", **other}))
        assert findings == []
        assert report["classes"]["ill"]["blockiness"] is None
        assert report["classes"]["ill"]["auc"]["blockiness"] is None


def test_the_sample_is_bounded_drawn_by_seed_and_of_every_class(tmp_path: Path) -> None:
    found = case(tmp_path, plain())
    first, again, other = (
        spectra(*found, per_class=15, seed=seed)[0]["classes"] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert [numbers["images"] for numbers in first.values()] == [15, 15]


def test_chunks_do_not_change_the_numbers(tmp_path: Path, monkeypatch) -> None:
    _, stack = case(tmp_path, plain(3))
    rows = np.array([5, 1, 70, 33, 2])
    whole = measure(stack, rows)
    monkeypatch.setattr(module, "_CHUNK_VALUES", 2 * 3 * 32 * 32)
    pd.testing.assert_frame_equal(measure(stack, rows), whole)
    np.testing.assert_allclose(whole["high_share"], high_share(stack.tensor(rows)))


def test_constant_images_and_classes_without_images_are_no_obstacle(tmp_path: Path) -> None:
    images = plain()
    images[ILL] = 0.5
    manifest, stack = case(tmp_path, images)
    report, _ = spectra(Manifest(manifest.table, manifest.root, ("well", "ill", "rare")), stack)
    assert report["classes"]["ill"]["high_share"] is None
    assert report["classes"]["rare"]["images"] == 0
    assert report["classes"]["rare"]["speckled"] is None


def test_a_stack_of_other_images_is_refused(tmp_path: Path) -> None:
    manifest, stack = case(tmp_path, plain())
    with pytest.raises(ValueError, match="80 rows in the manifest, 79 in the stack"):
        spectra(manifest, stack.select(np.arange(79)))
