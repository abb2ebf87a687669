"""A user's own program as a generator: arguments letter by letter, nothing left running."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

from frerec.errors import ConfigError, DataError
from frerec.generators import command as command_module
from frerec.generators.command import CommandGenerator

CLASSES = ("well", "ill")
SAMPLER = """
import json, sys
from pathlib import Path
from PIL import Image
out, seed, size, channels, counts, total = sys.argv[1:7]
counts = json.loads(Path(counts).read_text())
assert sum(counts.values()) == int(total)
mode = {"1": "L", "3": "RGB"}[channels]
colour = int(seed) if mode == "L" else (int(seed), 0, 9)
for name, count in counts.items():
    (Path(out) / name).mkdir()
    for k in range(count):
        Image.new(mode, (int(size),) * 2, colour).save(Path(out) / name / f"{k}.png")
print("made", total)
"""
PLACES = ["{out}", "{seed}", "{size}", "{channels}", "{counts}", "{total}"]


def script(folder: Path, text: str, name: str = "sample.py") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def program(text: str, *arguments: str) -> list[str]:
    """A Python program that gets {out} first."""
    return [sys.executable, "-c", text, "{out}", *arguments]


def run(command, directory: Path, counts=None, **settings):
    write = {"seed": 7, "image_size": 16, "channels": 1}
    for key in [key for key in settings if key in write]:
        write[key] = settings.pop(key)
    generator = CommandGenerator(command=command, **settings)
    counts = {"well": 2, "ill": 3} if counts is None else counts
    return generator, generator.write(counts, CLASSES, directory, **write)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_script_gets_what_was_asked_and_its_images_are_the_samples(tmp_path, channels):
    command = [sys.executable, script(tmp_path / "mine", SAMPLER), *PLACES]
    generator, samples = run(command, tmp_path / "out", channels=channels)
    manifest = generator.load(samples, CLASSES)
    assert manifest.table["label"].value_counts().to_dict() == {"well": 2, "ill": 3}
    assert set(manifest.table["source"]) == {"synthetic"}
    with Image.open(manifest.address(0).blob.path) as image:
        assert (image.size, image.mode) == ((16, 16), "L" if channels == 1 else "RGB")
        assert np.asarray(image).flat[0] == 7
    assert samples == tmp_path / "out" / "output"
    assert (tmp_path / "out" / "command.log").read_text() == "made 5\n"
    assert json.loads((tmp_path / "out" / "counts.json").read_text()) == {"well": 2, "ill": 3}


def test_a_class_of_which_none_is_asked_may_be_missing(tmp_path):
    """Its empty folder, which a loop over the classes makes, is no error."""
    command = [sys.executable, script(tmp_path, SAMPLER), *PLACES]
    generator, samples = run(command, tmp_path / "out", counts={"ill": 1})
    assert generator.load(samples, CLASSES).table["label"].tolist() == ["ill"]


NASTY = ["; rm -rf precious", "$(touch hacked)", "`touch hacked`", "| touch hacked", "$HOME", "*",
         "a b", "'\"", "--x={seed};{seed}", "", '{"a": {}}', "\\n", "é\n"]  # fmt: skip


def test_no_shell_sees_the_arguments(tmp_path):
    text = "import json, sys; from pathlib import Path; p = Path(sys.argv[1]);"
    text += "(p / 'seen.json').write_text(json.dumps(sys.argv[2:]));"
    text += "Path('precious').exists() or sys.exit('gone')"
    (tmp_path / "precious").mkdir()
    with pytest.raises(DataError):  # it leaves no images
        run(program(text, *NASTY), tmp_path / "out", cwd=tmp_path)
    seen = json.loads((tmp_path / "out" / "output" / "seen.json").read_text())
    assert seen == [argument.replace("{seed}", "7") for argument in NASTY]
    assert not (tmp_path / "hacked").exists()
    assert (tmp_path / "precious").is_dir()


def test_a_placeholder_in_a_value_is_not_replaced_again(tmp_path):
    text = "import sys; from pathlib import Path; (Path(sys.argv[1]) / 'x.txt').write_text('x')"
    with pytest.raises(DataError):
        run(program(text), tmp_path / "with {seed} in it")
    assert (tmp_path / "with {seed} in it" / "output" / "x.txt").is_file()


def test_other_layouts_are_read_below_its_folder(tmp_path):
    text = """
import sys, numpy as np
from pathlib import Path
out = Path(sys.argv[1]) / "deep"
out.mkdir()
np.savez(out / "s.npz", np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 1, 2]))
"""
    label_map = {0: "well", 1: "ill", 2: None}
    asked = {"well": 1, "ill": 2}
    generator, samples = run(
        program(text), tmp_path / "a", asked, output="deep/s.npz", label_map=label_map
    )
    assert samples == tmp_path / "a" / "output" / "deep" / "s.npz"
    assert sorted(generator.load(samples, CLASSES).table["label"]) == ["ill", "ill", "well"]
    with pytest.raises(DataError, match=r"output/s\.npz: .* no such output, but deep; correct"):
        run(program(text), tmp_path / "b", asked, output="s.npz", label_map=label_map)
    with pytest.raises(DataError, match=r"holds s\.npz alone; set generator\.output=s\.npz"):
        run(program(text.replace('/ "deep"', "").replace("out.mkdir()", "")), tmp_path / "c")


def test_a_table_of_labels_may_lie_elsewhere_below_its_folder(tmp_path):
    text = """
import sys
from pathlib import Path
from PIL import Image
out = Path(sys.argv[1])
(out / "images").mkdir()
for k in range(2):
    Image.new("L", (8, 8)).save(out / "images" / f"{k}.png")
(out / "t.csv").write_text("image,label\\n0.png,ill\\n1.png,well\\n")
"""
    command = [sys.executable, script(tmp_path, text), "{out}"]
    generator, samples = run(
        command, tmp_path / "out", {"well": 1, "ill": 1}, output="images", labels="t.csv"
    )
    table = generator.load(samples, CLASSES).table
    assert dict(zip(table["image"], table["label"], strict=True)) == {
        "0.png": "ill",
        "1.png": "well",
    }


def test_a_failure_names_status_last_line_and_log(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "geheim")
    text = "import sys; print('epoch 1'); print('out of memory\\n', file=sys.stderr); sys.exit(3)"
    with pytest.raises(DataError) as caught:
        run(program(text), tmp_path / "out")
    message = str(caught.value)
    assert "ended with status 3: out of memory; its whole output is in" in message
    assert str(tmp_path / "out" / "command.log") in message
    assert "\n" not in message
    kept = [path.read_text() for path in (tmp_path / "out").glob("*.*") if path.is_file()]
    assert "epoch 1" in "".join(kept)
    assert not any("geheim" in text for text in [message, *kept])
    with pytest.raises(DataError, match="signal SIGKILL: it wrote nothing"):
        run(program("import os; os.kill(os.getpid(), 9)"), tmp_path / "killed")
    with pytest.raises(DataError) as caught:
        run(program("print('x' * 9999 + chr(27)); 1 / 0"), tmp_path / "long")
    assert len(str(caught.value)) < 600


def test_what_cannot_be_run_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot run no-such-program \(No such file"):
        run(["no-such-program", "{out}"], tmp_path / "a")
    plain_file = script(tmp_path, "x")
    with pytest.raises(ConfigError, match="Permission denied"):
        run([plain_file, "{out}"], tmp_path / "b")
    with pytest.raises(ConfigError, match="null byte"):
        run([sys.executable, "a\0b", "{out}"], tmp_path / "c")


def test_too_few_images_of_a_class_are_counted(tmp_path):
    command = [sys.executable, script(tmp_path, SAMPLER.replace("range(count)", "range(2)"))]
    with pytest.raises(DataError, match=r"too few images: ill 2 of 3; make it read {counts}"):
        run([*command, *PLACES], tmp_path / "out")
    generator, samples = run([*command, *PLACES], tmp_path / "more", {"well": 1, "ill": 2})
    assert len(generator.load(samples, CLASSES)) == 4  # the caller takes what was asked


def test_an_empty_or_missing_output_is_an_error(tmp_path):
    with pytest.raises(DataError, match="left no file"):
        run(program("pass"), tmp_path / "a")
    with pytest.raises(DataError, match="took its folder away"):
        run(program("import os, sys; os.rmdir(sys.argv[1])"), tmp_path / "b")


@pytest.mark.parametrize("what", ["file", "folder", "relative", "moving", "all"])
def test_links_that_lead_out_are_refused(tmp_path, what):
    class_folder = tmp_path / "real" / "ill"
    class_folder.mkdir(parents=True)
    Image.new("L", (8, 8)).save(class_folder / "0.png")
    text = f"""
import os, sys
from pathlib import Path
out, real = Path(sys.argv[1]), Path({str(tmp_path / "real")!r})
if {what!r} == "all":
    out.rmdir()
    out.symlink_to(real)
elif {what!r} == "relative":
    (out / "ill").mkdir()
    (out / "ill" / "0.png").symlink_to("../../../real/ill/0.png")
elif {what!r} == "moving":  # leads out as soon as the folder gets its final name
    (out / "all").mkdir()
    (out / "ill").symlink_to(out / "all")
elif {what!r} == "folder":
    (out / "ill").symlink_to(real / "ill")
else:
    (out / "ill").mkdir()
    (out / "ill" / "0.png").symlink_to(real / "ill" / "0.png")
"""
    with pytest.raises(DataError, match=r"leads out of|took its folder away"):
        run(program(text), tmp_path / "out", {"ill": 1})
    assert (class_folder / "0.png").is_file()


def test_links_within_its_folder_are_its_own_business(tmp_path):
    text = SAMPLER + "(Path(out) / 'well' / 'again.png').symlink_to('../ill/0.png')"
    generator, samples = run([sys.executable, script(tmp_path, text), *PLACES], tmp_path / "out")
    assert len(generator.load(samples, CLASSES)) == 6


def test_an_output_that_is_there_is_not_mixed_with_another(tmp_path):
    (tmp_path / "out" / "output").mkdir(parents=True)
    with pytest.raises(DataError, match="exists; name another folder"):
        run(program("pass"), tmp_path / "out")


def test_environment_reaches_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    text = "import os, sys; sys.exit(os.environ['CUDA_VISIBLE_DEVICES'])"
    with pytest.raises(DataError, match="status 1: 5;"):
        run(program(text), tmp_path / "out", cwd=os.fspath(tmp_path))


def test_the_bar_counts_images_now_and_then_and_never_beyond_the_total(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(command_module.time, "monotonic", lambda: now[0])
    looks = []
    walk = os.walk
    monkeypatch.setattr(command_module.os, "walk", lambda out: looks.append(out) or walk(out))
    with tqdm(total=4, file=io.StringIO()) as bar:
        count = command_module._Counter(bar, tmp_path, 4)
        for seconds, there, shown in ((0, 2, 2), (1, 3, 2), (3.9, 3, 2), (0.2, 3, 3), (6, 9, 4)):
            now[0] += seconds
            for k in range(there):
                (tmp_path / f"{k}.PNG").touch()
            (tmp_path / "notes.txt").touch()
            count()
            assert bar.n == shown
    assert len(looks) == 3
