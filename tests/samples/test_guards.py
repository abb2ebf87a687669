"""What a folder for samples must not hold, and whose real images may be samples."""

import json
import shutil
from pathlib import Path

import pytest

from fixtures import textured_images, write_tree
from frerec.errors import DataError
from frerec.generators import ConditionalVAE
from frerec.samples import write_samples
from frerec.samples.guards import check_class_names
from frerec.samples.own_outputs import real_data_of
from frerec.samples.set_folder import leave_out

CLASSES = ("normal", "large")


def write(directory, **changes):
    generator = ConditionalVAE(
        num_classes=2, channels=1, image_size=16, latent_dim=4, width=4, seed=0
    )
    write_samples(
        generator.eval(), {"normal": 2, "large": 2}, CLASSES, directory, seed=1, **changes
    )


@pytest.mark.parametrize(
    "name",
    ["card.json", "Card.JSON", "card.md", "samples.json", "samples.unfinished.json", "samples.png",
     "manifest.parquet", "drawn.parquet", "signature.npz", "memorisation.parquet", "output",
     "counts.json", "command.log", "generator", "memorised", "x.partial", "dataset.json",
     "labels.csv", "x\ny", "x\x1b[2J", "a:b", "a/b", " a", ""],
)  # fmt: skip
def test_classes_that_no_folder_beside_our_files_can_have_are_refused(name):
    with pytest.raises(DataError, match="cannot be a folder's name") as caught:
        check_class_names(["normal", name])
    assert caught.value.args[0].isprintable()


def test_ordinary_names_are_taken():
    check_class_names(["normal", "Größe 2", "0", "grade-3.5", "cards", "sample"])


@pytest.mark.parametrize(
    "name",
    ["manifest.parquet", "samples.unfinished.json", "card.json", "normal", "normal/000001.png",
     "memorised", "memorised/large/000001.png", "generator", "generator/card.json", "thing"],
)  # fmt: skip
def test_no_link_is_written_through(tmp_path, name):
    out, thesis = tmp_path / "out", tmp_path / "thesis"
    write(out, finished=False)
    leave_out(out, ["large/000001.png"], move=True)
    write_tree(thesis, textured_images(1), ["000000.png"])
    before = (thesis / "000000.png").read_bytes()
    link = out / name
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(thesis if link.suffix == "" else thesis / "000000.png")
    with pytest.raises(DataError, match=rf"{link.name}: a link, which is not written through"):
        write(out)
    assert (thesis / "000000.png").read_bytes() == before
    assert len(list(thesis.iterdir())) == 1


def test_a_folder_that_is_a_link_itself_is_the_users_choice(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(tmp_path / "out")
    assert (tmp_path / "disk" / "samples.json").is_file()


def test_whose_real_images_a_set_holds_is_known_in_every_form_of_it(tmp_path):
    out = tmp_path / "out"
    write(out, extra={"real": True, "data": "abc"})
    (out / "mine.csv").write_text("image,label\n")
    zipped = Path(shutil.make_archive(str(tmp_path / "flat"), "zip", out))
    deep = shutil.make_archive(str(tmp_path / "deep"), "zip", tmp_path, "out")
    (tmp_path / "link").symlink_to(out)
    for path in (out, zipped, f"{deep}::out", out / "mine.csv", out / "normal", tmp_path / "link"):
        assert real_data_of(Path(path)) == "abc", path
    card = json.loads((out / "samples.json").read_text())
    del card["data"]
    (out / "samples.json").write_text(json.dumps(card))
    assert real_data_of(out) == ""
    (out / "samples.json").write_text("[1]")
    with pytest.raises(DataError, match=r"samples\.json: damaged"):
        real_data_of(out)


def test_generated_sets_and_sets_of_others_hold_no_real_images(tmp_path):
    write(tmp_path / "out")
    write_tree(tmp_path / "other", textured_images(1), ["a/000000.png"])
    for name in ("out", "other", "missing"):
        assert real_data_of(tmp_path / name) is None


def test_real_images_of_other_data_are_other_samples(tmp_path):
    write(tmp_path, extra={"real": True, "data": "abc"})
    with pytest.raises(DataError, match="made with another data"):
        write(tmp_path, extra={"real": True, "data": "xyz"})
