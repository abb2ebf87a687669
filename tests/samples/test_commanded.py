"""Samples of a user's command: made once, healed after a kill, never mixed, never real ones."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules import module, ready
from fixtures import textured_images, write_tree
from frerec.errors import DataError
from frerec.generators.command import CommandGenerator
from frerec.samples import commanded, load_samples
from frerec.samples.commanded import give_up, run_into
from frerec.samples.set_folder import finish, leave_out

CLASSES = ("a", "b")
COUNTS = {"a": 3, "b": 2}
SAMPLER = """
import json, os, random, sys
from pathlib import Path
from PIL import Image
out, counts, size = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), int(sys.argv[3])
mine = Path(sys.argv[4])
(mine / "calls").open("a").write("x")
if (mine / "fail").exists():
    (out / "half.png").write_bytes(b"half")
    sys.exit("no memory")
draw = random.Random(0)
for name, count in counts.items():
    (out / name).mkdir()
    for k in range(count):
        pixels = bytes(draw.randrange(256) for _ in range(size * size))
        Image.frombytes("L", (size, size), pixels).save(out / name / f"{k}.png")
for path in mine.glob("plant/*/*"):
    (out / path.parent.name / path.name).write_bytes(path.read_bytes())
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("real") / "set"
    write_tree(root, textured_images(24, height=16, width=16),
               [f"{'ab'[k % 2]}/{k:02d}.png" for k in range(24)])  # fmt: skip
    return ready(module(root))


@pytest.fixture
def mine(tmp_path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "sample.py").write_text(SAMPLER)
    return folder


@pytest.fixture
def make(data, mine, tmp_path):
    """Run the command into ``out``."""

    def run(*, size=(16, 1), counts=COUNTS, seed=0, **changes):
        script = [sys.executable, str(mine / "sample.py")]
        command = CommandGenerator(command=[*script, "{out}", "{counts}", "{size}", str(mine)])
        origin = {"command": command.identity(), "seed": seed, "classes": list(CLASSES)}
        settings = {"real": data.manifest, "decoding": data.decoding} | changes
        return run_into(
            tmp_path / "out", command, origin | {"counts": counts}, counts=counts, size=size,
            **settings,
        )  # fmt: skip

    return run


def calls(mine: Path) -> int:
    path = mine / "calls"
    return len(path.read_text()) if path.exists() else 0


def files(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def real_path(data, split: str) -> Path:
    row = int(np.flatnonzero(data.manifest.table["split"] == split)[0])
    return data.manifest.address(row).blob.path


def test_an_equal_call_takes_what_is_there(make, mine, tmp_path):
    made = make()
    assert made.table["label"].value_counts().to_dict() == COUNTS
    before = files(tmp_path / "out")
    again = make()
    assert again.table.equals(made.table)
    assert calls(mine) == 1
    assert files(tmp_path / "out") == before
    card = json.loads(before["samples.json"])
    assert (card["image_size"], card["channels"], card["counts"]) == (16, 1, COUNTS)
    assert str(tmp_path).encode() not in before["manifest.parquet"]
    loaded = load_samples(tmp_path / "out", classes=CLASSES)
    assert list(loaded.table["image"]) == list(made.table["image"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": (32, 1)}, "another image_size"),
        ({"size": (16, 3)}, "another channels"),
        ({"seed": 1}, "another seed"),
        ({"counts": {"a": 2, "b": 2}}, "another counts"),
    ],
)
def test_another_request_is_refused_and_changes_nothing(make, mine, tmp_path, change, words):
    make()
    before = files(tmp_path / "out")
    with pytest.raises(DataError, match=f"holds samples made with {words}; name another folder"):
        make(**change)
    assert files(tmp_path / "out") == before
    assert calls(mine) == 1


def test_after_a_failure_it_runs_anew_without_what_was_left(make, mine, tmp_path):
    (mine / "fail").touch()
    with pytest.raises(DataError, match="no memory"):
        make()
    out = tmp_path / "out"
    (half,) = out.glob("output.*.partial/half.png")
    assert not (out / "output").exists()
    (out / f"counts.json.{os.getpid()}.partial").write_text("{")  # of a kill
    (mine / "fail").unlink()
    assert len(make()) == 5
    assert calls(mine) == 2
    assert not half.exists()
    assert {p.name for p in out.iterdir()} == {
        "output", "command.log", "counts.json", "manifest.parquet", "samples.json"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["thesis.txt", "output2/x.png", "command.log/x", "ill/000000.png"])
def test_what_no_command_run_made_is_named_and_kept(make, mine, tmp_path, name):
    (mine / "fail").touch()
    with pytest.raises(DataError, match="no memory"):
        make()
    path = tmp_path / "out" / name
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = files(tmp_path / "out")
    with pytest.raises(DataError, match=rf"holds other files \({Path(name).parts[0]}\)"):
        make()
    assert files(tmp_path / "out") == before


def test_an_unfinished_set_of_another_generator_is_refused_and_kept(make, mine, tmp_path):
    out = tmp_path / "out"
    write_tree(out, textured_images(2), ["a/000000.png", "output/000000.png"])
    (out / "samples.unfinished.json").write_text(json.dumps({"generator": "ConditionalVAE"}))
    before = files(out)
    with pytest.raises(DataError, match="unfinished samples of another generator"):
        make()
    assert files(out) == before
    assert calls(mine) == 0


def test_a_kill_before_the_last_step_heals(make, mine, tmp_path, monkeypatch):
    def killed(_directory):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(commanded, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            make()
    with pytest.raises(DataError, match="has not finished"):
        load_samples(tmp_path / "out", classes=CLASSES)
    make()
    assert len(load_samples(tmp_path / "out", classes=CLASSES)) == 5
    assert calls(mine) == 1


def test_what_was_left_out_is_in_the_list_of_a_later_run(make, mine, tmp_path):
    out = tmp_path / "out"
    made = make(finished=False)
    with pytest.raises(DataError, match="has not finished"):
        load_samples(out, classes=CLASSES)
    gone = made.table["image"][1]
    leave_out(out, [gone], move=False)
    finish(out, excluded={"a": 1})
    assert gone not in set(load_samples(out, classes=CLASSES).table["image"])
    assert (out / gone).is_file()
    assert make(finished=False).table.equals(made.table)  # to be judged again
    assert make().table.equals(made.table)
    assert len(load_samples(out, classes=CLASSES)) == 5
    assert "excluded" not in json.loads((out / "samples.json").read_text())
    assert calls(mine) == 1


def test_a_program_that_outlives_a_killed_run_writes_into_nothing_kept(make, mine, tmp_path):
    (mine / "fail").touch()
    with pytest.raises(DataError, match="no memory"):
        make()
    (orphan,) = (tmp_path / "out").glob("output.*.partial")  # where it goes on writing
    (mine / "fail").unlink()
    made = make(finished=False)
    before = files(tmp_path / "out" / "output")
    assert not orphan.exists()
    write_tree(orphan, textured_images(2), ["a/0.png", "late.png"])
    assert files(tmp_path / "out" / "output") == before
    assert make().table.equals(made.table)
    (tmp_path / "out" / "samples.json").unlink()
    (tmp_path / "out" / "samples.unfinished.json").write_text('{"command": []}')
    make()  # anew
    assert not orphan.exists()


def test_an_unfinished_set_goes_for_a_mended_command_and_a_finished_one_does_not(
    make, mine, tmp_path
):
    make(finished=False)
    (tmp_path / "out" / "memorisation.json").write_text("{}")  # of a description that failed
    (mine / "sample.py").write_text(SAMPLER + "\n# mended")
    make()
    assert calls(mine) == 2
    assert not (tmp_path / "out" / "memorisation.json").exists()
    make(finished=False)  # taken again, to be described otherwise, and killed there
    make(finished=False)
    (mine / "sample.py").write_text(SAMPLER)
    before = files(tmp_path / "out")
    with pytest.raises(DataError, match="holds samples made with another command"):
        make()
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(("finished", "times"), [(False, 2), (True, 1)])
def test_samples_given_up_are_made_anew_unless_they_were_finished(make, mine, tmp_path, finished,
                                                                  times):  # fmt: skip
    make(finished=finished)
    if finished:
        make(finished=False)
    give_up(tmp_path / "out")
    make()
    assert calls(mine) == times


@pytest.mark.parametrize("name", ["manifest.parquet", "output", "output/a/x.png", "card.json"])
def test_links_that_lead_elsewhere_are_refused_and_what_they_name_is_kept(make, mine, tmp_path,
                                                                          name):  # fmt: skip
    make(finished=False)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "a.txt").write_text("mine")
    link = tmp_path / "out" / name
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(tmp_path / "thesis")
    with pytest.raises(DataError, match=rf"{Path(name).name}: a link, |a link that leads out of"):
        make()
    assert files(tmp_path / "thesis") == {"a.txt": b"mine"}
    assert calls(mine) == 1


def plant(mine: Path, path: Path, *, encode: bool) -> None:
    target = mine / "plant" / "a" / "0.png"
    target.parent.mkdir(parents=True)
    if encode:
        with Image.open(path) as image:
            image.save(target, compress_level=0)
        assert target.read_bytes() != path.read_bytes()
    else:
        target.write_bytes(path.read_bytes())


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize(("encode", "what"), [(False, "file"), (True, "image, encoded anew")])
def test_a_copy_of_a_val_or_test_image_is_refused(data, make, mine, tmp_path, split, encode, what):
    plant(mine, real_path(data, split), encode=encode)
    with pytest.raises(DataError, match=rf"output.a.0\.png: is a real {split} {what};") as caught:
        make()
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="has not finished"):
        load_samples(tmp_path / "out", classes=CLASSES)


def test_copies_of_training_images_are_counted(data, make, mine, caplog):
    plant(mine, real_path(data, "train"), encode=True)
    assert len(make()) == 5
    assert "1 samples are images of the training split" in caplog.text


def test_what_is_there_is_compared_again_with_other_splits(data, make, mine, tmp_path):
    plant(mine, real_path(data, "train"), encode=True)
    make()
    before = files(tmp_path / "out")
    splits = data.manifest.table["split"].replace({"train": "test", "test": "train"})
    with pytest.raises(DataError, match="is a real test image"):
        make(real=data.manifest.with_columns(split=splits))
    assert files(tmp_path / "out") == before
