"""What a tracker is sent names no file of this machine."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
import yaml

from frerec.config import config_directory
from frerec.tracking.private import public_axes, public_command, public_table, without_paths


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


@pytest.mark.parametrize(
    ("override", "public"),
    [
        ("experiment=paper/cpu/cardiomegaly", "experiment=paper/cpu/cardiomegaly"),
        ("experiment=../mine/x", "experiment=DIR"),
        ("data.root=/home/me", "data.root=DIR"),
        ("samples.path=a\\b", "samples.path=DIR"),
        ("data.root=smith_hospital", "data.root=DIR"),  # relative, without a slash
        ("+data.source.manifest=smith.csv", "+data.source.manifest=DIR"),
        ("paths.runs=smith_hospital", "paths.runs=DIR"),
        ("x=~smith", "x=DIR"),
        ("x=hospital/smith", "x=DIR"),
        ("generator.command=[python,sample.py]", "generator.command=DIR"),
        ("grid={arm:[gda],samples.path:[smith,jones]}", "grid=DIR"),
        ("grid={arm:[gda],seed:[0,1]}", "grid={arm:[gda],seed:[0,1]}"),
        ("samples.label_map={0: well, 1: ill}", "samples.label_map={0: well, 1: ill}"),
        ("~/smith", "(path)"),
        ("-m", "-m"),
        ("name=x", "name=x"),
    ],
)
def test_a_command_line_says_dir_where_a_place_stood_and_can_be_pasted(
    override: str, public: str
) -> None:
    command = public_command("benchmark", [override])
    assert shlex.split(command) == ["frerec", "benchmark", public]


def test_columns_of_a_csv_that_name_files_or_patients_are_left_out(tmp_path: Path) -> None:
    columns = [
        "arm", "auc", "samples.path", "patient_id", "Patient ID", "subject", "group_key",
        "data.root", "Image", "test/auc", "seed", "error", "patients_low", "calibrator.shr.ratio",
    ]  # fmt: skip
    file = tmp_path / "results.csv"
    file.write_text(",".join(columns) + "\n" + ",".join(["smith"] * len(columns)) + "\n")
    kept = list(public_table(pd.read_csv(file)))
    assert kept == ["arm", "auc", "test/auc", "seed", "patients_low", "calibrator.shr.ratio"]


# Keys that are null or missing in a shipped configuration and whose values no tracker hides, each
# for what it is; a new key that may hold a place belongs into PRIVATE instead.
PUBLIC = {
    "choices and numbers": {
        "bank_size", "bits", "clip", "counts", "crop", "data.train_size", "debug",
        "experiment", "folds", "gradient_clip", "image_size", "keep", "min_snr", "ratio",
        "slices_per_patient", "table", "timeout", "train_size", "trials",
    },
    "names of classes and areas": {"classes", "label_map", "modalities", "positive", "published",
                                   "pituitary", "notumor"},
    "what a person calls it at the service": {"entity", "group"},
    "of verbs that no tracker sees, where an arm has keys of these names": {
        "groups", "real", "synthetic",
    },
}  # fmt: skip


def test_no_shipped_key_that_may_hold_a_place_is_sent() -> None:
    """Each null of each configuration becomes a relative path, which no pattern can tell."""
    public = set().union(*PUBLIC.values())
    seen: set[str] = set()

    def filled(node: object, key: str = "") -> object:
        if isinstance(node, dict):
            return {k: filled(v, str(k)) for k, v in node.items() if k != "defaults"}
        if isinstance(node, list):
            return [filled(value, key) for value in node]
        if node in (None, "???") and key not in public:
            seen.add(key)
            return "hospital/smith.csv"
        return node

    for file in sorted(config_directory().rglob("*.yaml")):
        content = filled(yaml.safe_load(file.read_text(encoding="utf-8")))
        sent = json.dumps(without_paths(content))
        assert "smith" not in sent, f"{file.name} sends {sent}"
    assert {"root", "path", "checkpoint", "cwd", "tracking_uri", "storage"} <= seen
