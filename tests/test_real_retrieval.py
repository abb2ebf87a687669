"""Top-K search on the real sets beside the checkout; skipped where they are absent."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.calibration.retrieval import top_k_ssim

SETS = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.mark.parametrize("name", ["brain_tumor", "chest_xray", "fundus"])
def test_fast_search_finds_what_exact_search_finds(name: str) -> None:
    folder = SETS / name / "images"
    if not folder.is_dir():
        pytest.skip(f"{name}: the set is not here")
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".png", ".jpg"))
    chosen = np.random.default_rng(0).permutation(len(files))[:184]
    images = torch.stack([_grey(files[i]) for i in chosen])
    queries, bank = images[:4], images[4:]
    exact = top_k_ssim(queries, bank, 36)[1]
    fast = top_k_ssim(queries, bank, 36, method="fast")[1]
    found = [len(set(a.tolist()) & set(b.tolist())) / 36 for a, b in zip(exact, fast, strict=True)]
    assert np.mean(found) >= 0.98
    shr = StatisticalHighFrequencyReplacement().fit(bank)
    statistics = [shr.statistics(indices) for indices in (exact, fast)]
    for which in ("mean", "deviation"):
        a, b = (getattr(s, which) for s in statistics)
        assert float((a - b).abs().mean() / a.abs().mean()) < 0.01


def _grey(path: Path) -> torch.Tensor:
    pixels = np.asarray(Image.open(path).convert("L"), dtype=np.float32) / 255
    return torch.from_numpy(pixels)[None]
