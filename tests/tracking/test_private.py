"""What a tracker is sent names no file of this machine."""

from pathlib import Path

import pytest

from frerec.tracking.private import public_axes, public_command, without_paths


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
    config["place"] = Path("relative")
    assert without_paths(config) == {
        "generator": {"name": "command", "timeout": 3},
        "features": {"name": "x"},
        "place": "(path)",
    }


def test_the_axes_of_a_cell_are_all_named_and_places_are_not():
    axes = {"arm": "gda", "samples.path": "mine", "samples.ratio": 2, "extra": "/home/me"}
    assert public_axes(axes) == {
        "arm": "gda", "samples.path": "(path)", "samples.ratio": 2, "extra": "(path)",
    }  # fmt: skip


def test_a_command_line_says_dir_where_a_path_stood():
    overrides = ["data.root=/home/me", "name=x", "samples.path=a\\b"]
    command = public_command("benchmark", overrides)
    assert command == "frerec benchmark data.root=DIR name=x samples.path=DIR"
