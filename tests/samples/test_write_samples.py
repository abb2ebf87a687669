"""Samples on disk: lossless, the same whatever happened on the way, never mixed with others."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from frerec.data.manifest import Manifest
from frerec.data.readers import read_pixels
from frerec.errors import ConfigError, DataError
from frerec.generators import ConditionalVAE, Generator, LearnedGenerator
from frerec.samples import balanced_counts, load_samples, write_samples

CLASSES = ("normal", "large")


def vae(seed=0, channels=1) -> ConditionalVAE:
    return ConditionalVAE(
        num_classes=2, channels=channels, image_size=16, latent_dim=4, width=4, seed=seed
    ).eval()


class Exact(LearnedGenerator):
    """Images whose pixels are known: latents scaled into [0, 1], darker for label 0."""

    def __init__(self) -> None:
        super().__init__(num_classes=2, channels=1, image_size=16, latent_dim=256, ema_decay=0.0)
        self.save_hyperparameters()
        self.network = torch.nn.Identity()
        self.track_average()
        self.left = 10**9

    def decode(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Count the calls, so that the power can fail."""
        self.left -= 1
        if self.left < 0:
            raise OSError("power cut")
        images = torch.sigmoid(latents).reshape(-1, 1, 16, 16)
        return images * (0.5 + 0.5 * labels[:, None, None, None])


def write(directory, generator=None, counts=None, **changes):
    arguments = {"seed": 1, "batch_size": 4} | changes
    write_samples(
        generator or vae(), counts or {"normal": 6, "large": 5}, CLASSES, directory, **arguments
    )


def pixels(directory) -> dict[str, bytes]:
    return {
        p.relative_to(directory).as_posix(): np.asarray(Image.open(p)).tobytes()
        for p in sorted(directory.glob("*/*.png"))
    }


def test_files_load_again_as_labelled_samples(tmp_path):
    write(tmp_path)
    manifest = load_samples(tmp_path, classes=CLASSES)
    assert manifest.table["label"].value_counts().to_dict() == {"normal": 6, "large": 5}
    card = json.loads((tmp_path / "samples.json").read_text())
    assert card["counts"] == {"normal": 6, "large": 5}
    assert (card["seed"], card["generator"]) == (1, "ConditionalVAE")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["large", "manifest.parquet", "normal", "samples.json"]


def test_the_folder_may_be_moved_and_its_manifest_names_nothing_of_this_machine(tmp_path):
    write(tmp_path / "here", dataset="mine")
    (tmp_path / "here").rename(tmp_path / "there")
    manifest = load_samples(tmp_path / "there", classes=CLASSES)
    assert all(manifest.address(row).blob.path.is_file() for row in range(len(manifest)))
    assert str(tmp_path).encode() not in (tmp_path / "there" / "manifest.parquet").read_bytes()
    table = Manifest.read(tmp_path / "there" / "manifest.parquet").table
    assert set(table["source"]) == {"synthetic"}
    assert set(table["dataset"]) == {"mine"}
    assert table["group"].is_unique


def test_what_lies_beside_the_classes_stays(tmp_path):
    write(tmp_path)
    (tmp_path / "card.md").write_text("# Mine")
    (tmp_path / "generator").mkdir()
    (tmp_path / "generator" / "weights.safetensors").write_bytes(b"weights")
    write(tmp_path, counts={"normal": 7, "large": 5})
    assert (tmp_path / "card.md").read_text() == "# Mine"
    assert (tmp_path / "generator" / "weights.safetensors").exists()


class Few(Generator):
    """A generator with three images a class: their number is their brightness."""

    def __init__(self) -> None:
        super().__init__(num_classes=2, channels=1, image_size=16)
        self.save_hyperparameters()

    def fit(self, data, *, directory, **_):
        """Nothing to learn."""
        return {}

    def available(self, label: int) -> int:
        """Three of each class."""
        return 3

    def draw(self, labels: Tensor, seed: int, numbers) -> Tensor:
        """Refuse what is not there."""
        assert all(0 <= number < 3 for number in numbers)
        return torch.tensor(numbers).float().view(-1, 1, 1, 1).expand(-1, 1, 16, 16) / 255


def test_a_generator_of_few_images_is_never_asked_for_more(tmp_path):
    write(tmp_path, Few(), {"normal": 3, "large": 2})
    found = {name: set(content) for name, content in pixels(tmp_path).items()}
    assert found == {f"{name}/00000{n}.png": {n}
                     for name, count in (("normal", 3), ("large", 2))
                     for n in range(count)}  # fmt: skip
    with pytest.raises(DataError, match=r"4 samples of class large were asked, Few has 3; lower"):
        write(tmp_path / "more", Few(), {"large": 4})
    assert not (tmp_path / "more").exists()


def test_a_damaged_card_is_named(tmp_path):
    write(tmp_path)
    (tmp_path / "samples.json").write_text("{")
    with pytest.raises(DataError, match=r"samples\.json: damaged"):
        write(tmp_path)


def test_pixels_are_the_generators_rounded_to_8_bits(tmp_path):
    generator = Exact()
    write(tmp_path, generator)
    with Image.open(tmp_path / "large/000003.png") as image:
        assert (image.mode, image.size, image.format) == ("L", (16, 16), "PNG")
        found = np.asarray(image).astype(int)
    seen = []
    generator.decode = lambda latents, labels: seen.append(latents) or torch.zeros(4, 1, 16, 16)
    write(tmp_path / "again", generator)
    latents = torch.cat(seen[2:])[3].numpy().reshape(16, 16)  # two batches of normal come first
    expected = np.rint(255 / (1 + np.exp(-latents.astype(np.float64))))
    assert np.abs(found - expected).max() <= 1
    assert (found == expected).mean() > 0.99


def test_a_generators_own_batch_size_decides_how_much_is_drawn_in_vain(tmp_path):
    generator = Exact()
    generator.batch_size = 2
    seen = []
    draw = generator.draw
    generator.draw = lambda labels, *rest: seen.append(len(labels)) or draw(labels, *rest)
    write(tmp_path / "few", generator, {"large": 3}, batch_size=None)
    assert seen == [2, 2]
    write(tmp_path / "many", generator, {"large": 6}, batch_size=None)
    assert pixels(tmp_path / "few").items() <= pixels(tmp_path / "many").items()
    assert ConditionalVAE.batch_size == 64


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_have_the_bits_that_were_asked(tmp_path, bits):
    generator = Few()
    generator.draw = lambda labels, *_: torch.full((len(labels), 1, 16, 16), 0.3)
    write(tmp_path, generator, {"normal": 2}, bits=bits)
    largest = 2**bits - 1
    found = read_pixels(load_samples(tmp_path, classes=CLASSES, allow_missing=True).address(0))
    assert float(found.flatten()[0]) == pytest.approx(round(0.3 * largest) / largest, abs=1e-7)
    with pytest.raises(DataError, match="made with another bits"):
        write(tmp_path, generator, {"normal": 2}, bits=24 - bits)


def test_an_image_that_is_not_finite_is_refused(tmp_path):
    generator = Few()
    generator.draw = lambda labels, *_: torch.full((len(labels), 1, 16, 16), torch.nan)
    with pytest.raises(DataError, match="Few makes images with NaN"):
        write(tmp_path, generator, {"normal": 2})
    assert not list(tmp_path.glob("*/*.png"))


def test_colour_is_written_in_the_right_order(tmp_path):
    generator = vae(channels=3)
    generator.decode = lambda latents, labels: (
        torch.tensor([0.2, 0.4, 0.6]).view(1, 3, 1, 1).expand(len(labels), 3, 16, 16)
    )
    write(tmp_path, generator)
    with Image.open(tmp_path / "normal/000000.png") as image:
        assert image.mode == "RGB"
        assert image.getpixel((5, 5)) == (51, 102, 153)


@pytest.mark.parametrize("batches_before_the_cut", [0, 1, 3])
def test_a_killed_writing_goes_on_to_the_same_files(tmp_path, batches_before_the_cut):
    write(tmp_path / "whole", Exact())
    generator = Exact()
    generator.left = batches_before_the_cut
    with pytest.raises(OSError, match="power cut"):
        write(tmp_path / "cut", generator)
    assert not (tmp_path / "cut" / "samples.json").exists()
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").glob("*/*.png")}
    half = tmp_path / "cut" / "normal" / "000005.png.partial"
    half.parent.mkdir(exist_ok=True)
    half.write_bytes(b"half a file")
    write(tmp_path / "cut", Exact())
    assert pixels(tmp_path / "cut") == pixels(tmp_path / "whole")
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in kept.items())
    assert not half.exists()


def test_a_single_missing_file_comes_back_the_same(tmp_path):
    write(tmp_path)
    before = pixels(tmp_path)
    (tmp_path / "normal" / "000002.png").unlink()
    write(tmp_path)
    assert pixels(tmp_path) == before


def test_fewer_samples_are_among_more(tmp_path):
    write(tmp_path / "few", counts={"normal": 2, "large": 3})
    write(tmp_path / "many", counts={"normal": 9, "large": 7})
    few, many = pixels(tmp_path / "few"), pixels(tmp_path / "many")
    assert few.items() <= many.items()
    write(tmp_path / "few", counts={"normal": 9, "large": 7})  # extended in place
    assert pixels(tmp_path / "few") == many


def test_seeds_classes_and_numbers_give_different_images(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", seed=2)
    both = [*pixels(tmp_path / "a").values(), *pixels(tmp_path / "b").values()]
    assert len(set(both)) == 22


def test_other_samples_in_the_folder_are_refused_and_kept(tmp_path):
    write(tmp_path)
    before = pixels(tmp_path)
    for words, changes in (
        ("another fingerprint", {"generator": vae(seed=9)}),
        ("another seed", {"seed": 2}),
        (r"holds large.000004\.png, which is not among", {"counts": {"normal": 6, "large": 4}}),
    ):
        with pytest.raises(DataError, match=words):
            write(tmp_path, **changes)
        assert pixels(tmp_path) == before
        assert (tmp_path / "samples.json").exists()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"holds other files \(thesis\.txt\)"):
        write(foreign)


def test_bad_requests_are_one_line_errors(tmp_path):
    for error, words, call in (
        (DataError, "samples of class odd were asked", lambda: write(tmp_path, counts={"odd": 1})),
        (ConfigError, "-1 images of class", lambda: write(tmp_path, counts={"normal": -1})),
        (ConfigError, "batch_size=0", lambda: write(tmp_path, batch_size=0)),
        (
            DataError,
            "knows 2 classes, the data have 3",
            lambda: write_samples(vae(), {"a": 1}, ("a", "b", "c"), tmp_path, seed=0),
        ),
        (
            DataError,
            "cannot be a folder's name",
            lambda: write_samples(vae(), {"../a": 1}, ("../a", "b"), tmp_path, seed=0),
        ),
    ):
        with pytest.raises(error, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_counts_are_samples_per_real_image_and_class():
    assert balanced_counts({"a": 300, "b": 100}, 1.0) == {"a": 300, "b": 100}
    assert balanced_counts({"a": 300, "b": 101}, 0.5) == {"a": 150, "b": 51}
    assert balanced_counts({"a": 3, "b": 0}, 0.01) == {"a": 1, "b": 0}
    for ratio in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"samples\.ratio="):
            balanced_counts({"a": 3}, ratio)
