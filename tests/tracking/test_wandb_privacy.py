"""What is sent to W&B names no file of this machine and shows no real image."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from frerec.tracking.wandb import TrackedRun, _GuardedWandbLogger, without_paths


@pytest.mark.parametrize(
    "text",
    [
        "/home/me", "~/x", "~me", "C:\\data", "\\\\server\\share", "../shared/data", "./x",
        "--data=/home/me/x", "--root=~/x", "--root=C:\\x", "a,/home/me", "['/home/me']",
        "file:///home/me", "python /home/me/sample.py", "data:/home/me",
    ],
)  # fmt: skip
def test_a_path_is_taken_out_wherever_it_stands_in_a_text(text):
    assert without_paths({"value": [text]}) == {"value": ["(path)"]}


@pytest.mark.parametrize(
    "text",
    ["timm/resnet18", "https://example.org/a", "1/2", "images a side, 1 / 2", "{out}", "0.5",
     "log power (dB)/m", "v_prediction", "hf://org/model", ""],
)  # fmt: skip
def test_other_texts_stay(text):
    assert without_paths(text) == text


def test_keys_that_hold_places_and_commands_are_left_out():
    generator = {
        "name": "command", "command": ["python", "sample.py", "--patients", "mine.csv"],
        "cwd": "here", "checkpoint": "trained", "timeout": 3,
    }  # fmt: skip
    config = {"generator": generator, "features": {"weights": "mine.pt", "name": "x"}, "out": "o"}
    config["folder"] = Path("relative")
    assert without_paths(config) == {
        "generator": {"name": "command", "timeout": 3},
        "features": {"name": "x"},
        "folder": "(path)",
    }


class Receiver:
    """Stands where W&B is, and keeps what it gets."""

    def __init__(self):
        self.images = {}

    def log_image(self, key, images, **_):  # noqa: D102
        self.images[key] = images


def test_pictures_are_sent_by_key_and_without_wandb_nothing_happens(tmp_path):
    receiver = Receiver()
    TrackedRun(receiver).pictures({"signature": tmp_path / "s.png"})
    assert receiver.images == {"signature": [str(tmp_path / "s.png")]}
    TrackedRun(None).pictures({"signature": tmp_path / "s.png"})


@pytest.mark.parametrize("params", [{"root": "x", "width": 3}, SimpleNamespace(root="x", width=3)])
def test_a_models_hyperparameters_are_sent_without_places(monkeypatch, params):
    sent = []
    monkeypatch.setattr(
        "pytorch_lightning.loggers.WandbLogger.log_hyperparams", lambda _, p: sent.append(p)
    )
    _GuardedWandbLogger.__new__(_GuardedWandbLogger).log_hyperparams(params)
    assert sent == [{"width": 3}]
