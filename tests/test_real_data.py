"""Real images, where they are at hand: the paper's figures, and the sets' own counts."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.config import compose_config, instantiate, plain
from frerec.data.datamodules import ImageDataModule
from frerec.evaluation.image_quality import psnr, ssim

CHEST = Path(__file__).parents[2] / "shared" / "data" / "chest_xray"
needs_chest = pytest.mark.skipif(
    not (CHEST / "labels.csv").is_file(), reason="the chest X-ray set is not here"
)


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> ImageDataModule:
    """The cardiomegaly experiment's own data settings, with fewer training images."""
    store = tmp_path_factory.mktemp("store")
    overrides = ["experiment=cardiomegaly", f"data.root={CHEST}", f"paths.store={store}"]
    config = compose_config("benchmark", [*overrides, "data.train_size=300"])
    data: ImageDataModule = instantiate(OmegaConf.create(plain(config.data)))
    data.prepare_data()
    data.setup()
    return data


@needs_chest
def test_the_published_test_split_is_kept_whole(chest: ImageDataModule) -> None:
    counts = chest.manifest.counts()
    assert counts.loc["cardiomegaly", "test"] == 557
    assert counts.loc["no_cardiomegaly", "test"] == 557
    assert counts.loc["cardiomegaly", "train"] == 300
    assert chest.classes[1] == "cardiomegaly"


@needs_chest
def test_shr_alone_damages_images_as_much_as_the_paper_says(chest: ImageDataModule) -> None:
    """The paper's SHR-only row: 25.10 dB, SSIM 0.76; the preset `shr_paper` matches it best."""
    config = compose_config("benchmark", ["calibrator=shr_paper"])
    shr: StatisticalHighFrequencyReplacement = instantiate(config.calibrator)
    images = chest.stack.tensor(chest.rows("train"))
    shr.fit(images)
    some = images[::20]
    changed = shr.transform(some)
    assert float(psnr(changed, some).mean()) == pytest.approx(25.10, abs=1.5)
    assert float(ssim(changed, some).mean()) == pytest.approx(0.76, abs=0.06)
