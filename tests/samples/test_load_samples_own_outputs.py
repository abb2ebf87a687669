"""What `frerec generate` and `frerec calibrate` wrote loads as samples, whole or not at all."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest

from fixtures import textured_images, write_tree
from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.cli import main
from frerec.data.manifest import Manifest
from frerec.data.readers import read_pixels
from frerec.errors import ConfigError, DataError
from frerec.generators import ConditionalVAE
from frerec.samples import load_samples, write_samples

CLASSES = ("normal", "large")


def labels_of(manifest) -> dict[str, str]:
    return dict(zip(manifest.table["image"], manifest.table["label"], strict=True))


def message(error, path, **more) -> str:
    with pytest.raises(error) as caught:
        load_samples(path, **({"classes": CLASSES} | more))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def calibrate(source, out) -> int:
    shr = StatisticalHighFrequencyReplacement(neighbours=4)
    shr.fit(textured_images(24, seed=1, height=16, width=16)).save(out.parent / "model")
    where = [f"model={out.parent / 'model'}", f"input={source}", f"output={out}"]
    return main(["calibrate", *where, "device=cpu", "num_workers=1"])


def generated(folder, counts=(3, 2)):
    vae = ConditionalVAE(num_classes=2, channels=1, image_size=16, latent_dim=4, width=4, seed=0)
    write_samples(vae.eval(), dict(zip(CLASSES, counts, strict=True)), CLASSES, folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def generated_zip(tmp_path_factory):
    """An output of `frerec generate`, zipped with the folder around it."""
    folder = generated(tmp_path_factory.mktemp("generated") / "set")
    path = folder.parent / "set.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent).as_posix())
    return path


@pytest.fixture
def output(generated_zip, tmp_path):
    with zipfile.ZipFile(generated_zip) as archive:
        archive.extractall(tmp_path)
    return tmp_path / "set"


def test_what_generate_wrote_is_its_manifest_and_nothing_else(output):
    write_tree(output, textured_images(2), ["generator/grid.png", "normal/stray.png"])
    manifest = load_samples(output, classes=CLASSES)
    assert manifest.table["label"].value_counts().to_dict() == {"normal": 3, "large": 2}
    assert not manifest.table["image"].str.contains("grid|stray").any()
    assert manifest.root == output
    assert set(manifest.table["source"]) == {"synthetic"}


def test_what_generate_wrote_may_be_zipped(output, generated_zip):
    zip_set = load_samples(f"{generated_zip}::set", classes=CLASSES)
    plain = load_samples(output, classes=CLASSES)
    assert [n.partition("::set/")[2] for n in zip_set.table["image"]] == list(plain.table["image"])
    np.testing.assert_array_equal(read_pixels(zip_set.address(1)), read_pixels(plain.address(1)))


def test_the_patients_that_generate_knows_are_kept(output):
    table = Manifest.read(output / "manifest.parquet").table
    table["group"] = ["p1", "p1", "", "p2", "p3"]
    Manifest(table, output, CLASSES).write(output / "manifest.parquet")
    groups = load_samples(output, classes=CLASSES).table["group"]
    expected = dict(zip(table["image"], table["group"], strict=True))
    found = dict(zip(load_samples(output, classes=CLASSES).table["image"], groups, strict=True))
    named = {image: group for image, group in expected.items() if group}
    assert {image: found[image] for image in named} == named
    assert len(set(groups)) == 4


def test_labels_of_generate_are_mapped_like_any(output):
    found = load_samples(output, classes=("a", "b"), label_map={"normal": "b", "large": "a"})
    assert found.table["label"].value_counts().to_dict() == {"b": 3, "a": 2}
    assert "manifest.parquet; leave it out" in message(ConfigError, output, labels=output / "t.csv")


def test_an_unfinished_output_of_generate_is_refused(output):
    (output / "samples.unfinished.json").write_text("{}")
    text = message(DataError, output)
    assert "run frerec generate again to finish it" in text


def test_an_output_of_generate_that_lacks_images_or_is_damaged_is_refused(output):
    (output / "normal" / "000001.png").unlink()
    text = message(DataError, output)
    assert "1 of the 5 images that it lists are not there, for example normal/000001.png" in text
    (output / "manifest.parquet").write_bytes(b"PAR1 no")
    assert "manifest.parquet: not a manifest" in message(DataError, output)


def test_a_manifest_that_lists_twice_leads_out_or_is_real_is_refused(output):
    table = Manifest.read(output / "manifest.parquet").table

    def written(**columns):
        Manifest(table.assign(**columns), output, CLASSES).write(output / "manifest.parquet")
        return message(DataError, output)

    images = list(table["image"])
    assert "listed more than once" in written(image=[images[1], *images[1:]])
    assert "'..' may not lead out" in written(image=["../x.png", *images[1:]])
    assert "not synthetic" in written(source="real")


def test_what_calibrate_wrote_loads_with_its_labels(tmp_path, caplog):
    names = ["00000/img0.png", "00000/img1.png", "00000/img2.png"]
    write_tree(tmp_path / "in", textured_images(3, height=16, width=16), names)
    rows = [[names[0], 1], [names[1], 0], [names[2], 1]]
    (tmp_path / "in" / "dataset.json").write_text(json.dumps({"labels": rows}))
    out = tmp_path / "out"
    assert calibrate(tmp_path / "in", out) == 0
    caplog.clear()
    found = load_samples(out, classes=CLASSES, label_map={0: CLASSES[0], 1: CLASSES[1]})
    assert labels_of(found) == {n: CLASSES[label] for n, label in rows}
    assert not caplog.records
    # Killed, or an image taken away: it loads, and says so.
    (out / names[0]).unlink()
    table = pd.read_csv(out / "labels.csv", dtype=str)
    table[table["image"] != names[0]].to_csv(out / "labels.csv", index=False)
    assert len(load_samples(out, classes=CLASSES, label_map={0: CLASSES[0], 1: CLASSES[1]})) == 2
    assert "1 images that frerec calibrate was to write are not there" in caplog.text


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_what_generate_wrote_goes_through_calibrate_and_loads_again(
    output, generated_zip, tmp_path, kind
):
    write_tree(output, textured_images(1, height=9, width=9), ["generator/grid.png"])
    source = output if kind == "folder" else f"{generated_zip}::set"
    assert calibrate(source, tmp_path / "out") == 0
    plain = load_samples(output, classes=CLASSES)
    assert labels_of(load_samples(tmp_path / "out", classes=CLASSES)) == labels_of(plain)
    assert not (tmp_path / "out" / "generator").exists()


def test_calibrate_refuses_what_generate_has_not_finished(output, tmp_path, capsys):
    (output / "samples.unfinished.json").write_text("{}")
    assert calibrate(output, tmp_path / "out") == 2
    assert "run frerec generate again to finish it" in capsys.readouterr().err
