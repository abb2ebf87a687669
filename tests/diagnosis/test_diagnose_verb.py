"""``frerec diagnose`` through the command line: where it writes, and what it refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures import textured_images, write_tree

COUNT = 24

Diagnose = Callable[..., int]
Numbers = Callable[[Path], dict[str, Any]]
Failure = Callable[[], str]


def test_without_a_model_or_out_the_sets_are_compared_in_a_folder_diagnosis_here(
    diagnose: Diagnose,
    numbers: Numbers,
    tmp_path: Path,
    failure: Failure,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert diagnose("limit=20", "seed=3", "shown=2") == 0
    found = numbers(tmp_path / "diagnosis")
    assert list(found["comparisons"]) == ["before"]
    assert found["fidelity"] is None
    assert found["sets"]["real"]["found"] == COUNT
    assert found["sets"]["real"]["images"] == 20
    printed = capsys.readouterr().out
    assert "20 of 24 real images were drawn at random (seed 3)" in printed
    assert str(tmp_path / "diagnosis" / "index.html") in printed
    before = (tmp_path / "diagnosis" / "diagnosis.json").read_bytes()
    assert diagnose("limit=3") == 2
    assert "overwrite=true" in failure()
    assert (tmp_path / "diagnosis" / "diagnosis.json").read_bytes() == before


def test_an_old_diagnosis_is_replaced_only_when_asked_and_nothing_else_ever(
    diagnose: Diagnose, tmp_path: Path, failure: Failure
) -> None:
    """One image a set, one of them black: no interval, and no figure of detectors."""
    for name, light in (("r", 1), ("s", 0)):
        write_tree(tmp_path / name, light * textured_images(1), ["one.png"])
    out = tmp_path / "new" / "out"
    given = [f"out={out}", f"real={tmp_path / 'r'}", f"synthetic={tmp_path / 's'}"]
    (out / "figures").mkdir(parents=True)
    for name in ("diagnosis.json", "figures/detectors.png"):
        (out / name).write_text("old")
    assert diagnose(*given, "overwrite=true") == 2  # named as ours, and not ours
    assert "other files" in failure()
    assert (out / "diagnosis.json").read_text() == "old"
    (out / "diagnosis.json").write_text('{"format": 1, "comparisons": {}}')
    assert diagnose(*given) == 2
    assert "overwrite=true" in failure()
    assert diagnose(*given, "overwrite=true") == 0
    assert (out / "index.html").is_file()
    assert not (out / "figures" / "detectors.png").exists()
    (out / "figures" / "mine.png").write_bytes(b"mine")
    assert diagnose(*given, "overwrite=true") == 2
    assert "mine.png" in failure()
    assert (out / "figures" / "mine.png").read_bytes() == b"mine"
    assert [p.name for p in out.parent.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["real=nowhere"], "real=nowhere: no such folder"),
        (["synthetic={root}/empty"], "no images"),
        (["out={root}/real/new"], "must not lie in real"),
        (["model={root}/real"], "no calibrator here"),
        (["channels=2"], "expected auto, 1 or 3"),
        (["model={root}/model", "channels=3"], "the model takes images of 1"),
        (["model={root}/model", "image_size=16"], "the model was fitted on 32x32"),
        (["synthetic={root}/wide"], "wide.png: 48x32 pixels"),
        (["synthetic={root}/broken"], "broken.png"),
        (["limit=0"], "limit=0: expected at least 1"),
        (["bits=12"], "expected 8 or 16"),
        (["image_size=8"], "at least 16 a side"),
        (["groups={root}/few.csv"], "no group for the image"),
        (["fitt=crop"], "did you mean fit"),
        (["device=tpu"], "device=tpu: expected auto, cpu or cuda"),
    ],
)
def test_mistakes_get_one_line_and_write_nothing(
    folders: Path,
    diagnose: Diagnose,
    tmp_path: Path,
    failure: Failure,
    arguments: list[str],
    expected: str,
) -> None:
    (folders / "empty").mkdir(exist_ok=True)
    write_tree(folders / "wide", textured_images(1, width=48), ["wide.png"])
    write_tree(folders / "broken", textured_images(1), ["broken.png"])
    (folders / "broken" / "broken.png").write_bytes(b"no image")
    (folders / "few.csv").write_text("image,group\na/00.png,p1\n")
    given = [argument.format(root=folders) for argument in arguments]
    out = [f"out={tmp_path / 'out'}"] if not given[0].startswith("out=") else []
    assert diagnose(*out, *given) == 2
    assert expected in failure()
    assert not list(tmp_path.iterdir())
