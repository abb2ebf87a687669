"""``frerec generate logger=wandb``: neither a real image nor a folder of this machine is sent."""

from pathlib import Path

import pytest

from frerec.cli import main


def sent(runs: Path) -> list[Path]:
    """The files that `wandb sync` would send."""
    folders = [f for f in runs.rglob("offline-run-*") if f.is_dir()]
    assert len(folders) == 1
    return [p for p in (*folders[0].glob("*.wandb"), *folders[0].glob("files/**/*")) if p.is_file()]


@pytest.mark.parametrize("generator", ["vae", "oracle"])
def test_the_grid_is_sent_only_where_it_shows_no_real_image(tmp_path, monkeypatch, generator):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    tiny = ("generator.width=4", "generator.latent_dim=4", "generator.training.steps=2")
    code = main(
        [
            "generate", "logger=wandb", "logger.log_images=true",
            f"out={tmp_path / 'out'}", f"generator={generator}",
            "data=phantom_chest_xray", "data.count=60", "data.size=32", "data.train_size=10",
            f"paths.store={tmp_path / 'store'}", f"paths.runs={tmp_path / 'runs'}",
            "trainer.accelerator=cpu", "features.name=resnet10t",
            *(tiny if generator == "vae" else ()),
        ]
    )  # fmt: skip
    assert code == 0
    files = sent(tmp_path / "runs")
    pictures = {p.name.split("_")[0] for p in files if p.suffix == ".png"}
    assert pictures == ({"signature", "samples"} if generator == "vae" else {"signature"})
    for file in files:
        assert str(tmp_path).encode() not in file.read_bytes(), f"{file.name} names a local folder"
