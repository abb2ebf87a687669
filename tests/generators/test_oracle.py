"""The oracle: withheld real images, damaged in the high band alone, the same for every dose."""

import json

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from safetensors.torch import load_file

from datamodules import module, ready
from fixtures import textured_images, write_tree
from frerec.config import compose_config, plain
from frerec.errors import ConfigError, DataError
from frerec.generators.base import Generator
from frerec.generators.grids import class_grid
from frerec.generators.oracle import Oracle
from frerec.generators.registry import load_generator

DAMAGES = ("attenuation", "checkerboard", "noise")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """26 images a class; 5 a class in train, 13 withheld, whatever the splits leave."""
    root = tmp_path_factory.mktemp("oracle") / "set"
    pictures = 0.3 + 0.4 * textured_images(52, height=32, width=32, seed=2)
    write_tree(root, pictures, [f"{'ab'[k % 2]}/{k:02d}.png" for k in range(52)])
    return ready(module(root, image_size=32, train_size=5))


def oracle(**changes) -> Oracle:
    arguments = {"num_classes": 2, "channels": 1, "image_size": 32} | changes
    return Oracle(**arguments).eval()


@pytest.fixture(scope="module")
def fitted(data, tmp_path_factory):
    made = {}
    for name, changes in {
        **{kind: {"damage": kind, "dose": 0.6} for kind in DAMAGES},
        "half": {"damage": "noise", "dose": 0.3},
        "clean": {"dose": 0},
    }.items():
        made[name] = oracle(**changes)
        made[name].fit(data, directory=tmp_path_factory.mktemp(name))
    return made


def everything(generator: Generator, seed: int = 0) -> torch.Tensor:
    counts = [generator.available(label) for label in range(2)]
    labels = torch.repeat_interleave(torch.arange(2), torch.tensor(counts))
    return generator.sample(labels, seed, numbers=[*range(counts[0]), *range(counts[1])])


def as_set(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_at_dose_0_it_is_the_withheld_images_bit_for_bit_and_each_once(fitted, data):
    clean = fitted["clean"]
    for label in (0, 1):
        rows = np.flatnonzero(data.withheld.labels == label)
        assert clean.available(label) == len(rows) > 5
        samples = clean.sample(torch.full((len(rows),), label), seed=4)
        assert as_set(samples) == as_set(data.withheld.stack.tensor(rows))


def test_nothing_of_train_val_or_test_is_in_it(fitted, data):
    samples = everything(fitted["clean"])
    assert len(as_set(samples)) == len(samples)
    assert not as_set(samples) & as_set(data.stack.tensor())
    stored = fitted["noise"].images.numpy()
    for image in data.stack.tensor():
        largest = np.iinfo(stored.dtype).max
        pixels = np.rint(image.numpy() * largest).astype(stored.dtype)
        assert not (stored == pixels).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("kind", DAMAGES)
def test_it_damages_the_high_band_and_nothing_else(fitted, kind):
    """Image by image against the clean one of the same number: every dose has the same images."""
    clean, damaged = (everything(fitted[name]).double().numpy() for name in ("clean", kind))
    rows, columns = np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None, :]
    high = np.hypot(rows, columns) >= 0.25
    change = np.abs(np.fft.fft2(damaged - clean, norm="ortho"))
    assert change[..., ~high].max() < 1e-4
    assert change[..., high].max(axis=-1).min() > 1e-3


def test_attenuation_follows_its_formula(fitted):
    clean, damaged = (everything(fitted[n]).double().numpy() for n in ("clean", "attenuation"))
    rows, columns = np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None, :]
    gain = np.where(np.hypot(rows, columns) >= 0.25, 0.4, 1.0)
    expected = np.fft.ifft2(np.fft.fft2(clean) * gain).real
    np.testing.assert_allclose(damaged, expected, atol=1e-6)


def test_two_doses_add_the_same_noise_in_two_strengths(fitted):
    clean, half, full = (everything(fitted[name]) for name in ("clean", "half", "noise"))
    torch.testing.assert_close(2 * (half - clean), full - clean, atol=2e-6, rtol=0)
    patterns = (full - clean).flatten(1)
    correlation = np.corrcoef(patterns.numpy())
    assert np.abs(correlation - np.eye(len(correlation))).max() < 0.5, "images share their noise"


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_sample_depends_on_seed_number_and_label_only(fitted, kind):
    generator = fitted[kind]
    torch.manual_seed(0)
    many = generator.sample(torch.tensor([0, 1, 0, 1, 1]), seed=3)
    torch.manual_seed(1)
    few = generator.sample(torch.tensor([0, 1]), seed=3, numbers=[2, 4])
    assert torch.equal(few, many[[2, 4]])
    assert not torch.equal(many, generator.sample(torch.tensor([0, 1, 0, 1, 1]), seed=4))
    with pytest.raises(DataError, match="classes 0 to 1"):
        generator.sample(torch.tensor([0, 2]), seed=0)


def test_its_own_seed_changes_the_order_and_not_the_set(fitted, data, tmp_path):
    other = oracle(dose=0, seed=1)
    other.fit(data, directory=tmp_path)
    mine, theirs = everything(fitted["clean"]), everything(other)
    assert not torch.equal(mine, theirs)
    assert as_set(mine) == as_set(theirs)


def test_more_images_than_there_are_is_an_error_that_names_the_counts(fitted):
    generator = fitted["noise"]
    there = generator.available(1)
    counts = f"{generator.available(0)}, {there}"
    with pytest.raises(DataError, match=rf"{counts} withheld .*smaller samples\.ratio"):
        generator.sample(torch.tensor([1]), 0, numbers=[there])
    with pytest.raises(DataError, match="image number -1"):
        generator.sample(torch.tensor([1]), 0, numbers=[-1])
    with pytest.raises(DataError, match="0, 0 withheld"):
        oracle().sample(torch.tensor([0]), 0)


def test_saved_and_loaded_it_makes_the_same_samples(data, tmp_path):
    generator = oracle(damage="noise", dose=0.4)
    card = generator.fit(data, directory=tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert card["images"] == len(data.withheld.labels)
    assert card["images_by_class"] == {c: generator.available(i) for i, c in enumerate("ab")}
    stored = generator.images
    assert card["mib"] == pytest.approx(stored.nbytes / 2**20, abs=0.005)
    assert str(stored.dtype) == f"torch.{data.stack.dtype}"
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, Oracle)
    assert torch.equal(everything(loaded, 5), everything(generator, 5))
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.fingerprint() != oracle(damage="noise", dose=0.4).fingerprint()
    assert class_grid(loaded, columns=30).shape[0] == 1  # more columns than images


def test_one_that_is_kept_samples_every_damage_and_dose(fitted, data, tmp_path):
    oracle(damage="noise", dose=1).fit(data, directory=tmp_path)
    kept = Oracle.load(tmp_path)
    fingerprints = {kept.fingerprint()}
    for name in ("half", "clean", "checkerboard"):
        other = fitted[name]
        kept.set_sampling(damage=other.damage, dose=other.dose, ratio=other.ratio)
        assert torch.equal(everything(kept, 3), everything(other, 3))
        assert kept.fingerprint() == other.fingerprint()
        fingerprints.add(kept.fingerprint())
    assert len(fingerprints) == 4
    with pytest.raises(ConfigError, match=r"generator dose=2: expected"):
        kept.set_sampling(dose=2)
    with pytest.raises(ConfigError, match="generator seed: is no setting of sampling alone"):
        kept.set_sampling(seed=2)


def test_its_images_must_be_those_that_the_data_withhold(data, tmp_path):
    """Of another split, some would be test images."""
    oracle().fit(data, directory=tmp_path)
    kept = Oracle.load(tmp_path)
    kept.check(data)
    other = module(
        data.source.root, image_size=32, train_size=5, split_seed=9, cache_dir=data.cache_dir
    )
    for generator in (kept, oracle()):
        with pytest.raises(ConfigError, match=r"generator\.checkpoint: this oracle holds images"):
            generator.check(ready(other))


def test_wherever_it_is_sent_its_images_stay_as_they_are(fitted):
    before = everything(fitted["noise"])
    sent = fitted["noise"].to("meta").double()
    assert sent.images.device.type == "cpu"
    assert torch.equal(sent.labels, fitted["noise"].labels)
    fitted["noise"].to("cpu").float()
    assert torch.equal(everything(fitted["noise"]), before)


def test_images_that_need_sixteen_bits_keep_them(tmp_path):
    root = tmp_path / "set"
    write_tree(root, textured_images(40, height=48, width=48, seed=4),
               [f"{'ab'[k % 2]}/{k:02d}.png" for k in range(40)])  # fmt: skip
    data = ready(module(root, image_size=32, train_size=4))  # scaled down: no longer 8 bits
    assert data.stack.dtype == "uint16"
    generator = oracle(dose=0)
    generator.fit(data, directory=tmp_path / "oracle")
    assert as_set(everything(Oracle.load(tmp_path / "oracle"))) == as_set(
        data.withheld.stack.tensor()
    )


def test_fitting_again_is_the_same_and_another_one_is_refused(data, tmp_path):
    generator = oracle(dose=0.4)
    card = generator.fit(data, directory=tmp_path)
    assert oracle(dose=0.5).fit(data, directory=tmp_path) == card  # a matter of sampling
    with pytest.raises(ConfigError, match="holds a generator with another arguments"):
        oracle(seed=1).fit(data, directory=tmp_path)
    smaller = module(data.source.root, image_size=32, train_size=4, cache_dir=data.cache_dir)
    with pytest.raises(ConfigError, match="holds a generator with another images and withheld"):
        oracle(dose=0.4).fit(ready(smaller), directory=tmp_path)
    (tmp_path / "card.json").write_text("{")
    with pytest.raises(DataError, match=r"card\.json: damaged"):
        oracle(dose=0.4).fit(data, directory=tmp_path)


def test_what_it_cannot_be_made_of_is_a_one_line_error(data, tmp_path):
    with pytest.raises(ConfigError, match=r"generator\.training\.steps: the oracle is not trained"):
        oracle().fit(data, directory=tmp_path, steps=3)
    whole = ready(module(data.source.root, image_size=32, cache_dir=data.cache_dir))
    with pytest.raises(ConfigError, match=r"set data\.train_size"):
        oracle().fit(whole, directory=tmp_path)
    with pytest.raises(DataError, match=r"made for 3 classes, the data have 2 \(a, b\)"):
        oracle(num_classes=3).fit(data, directory=tmp_path)
    with pytest.raises(DataError, match=r"images of \[1, 16, 16\], the data have \[1, 32, 32\]"):
        oracle(image_size=16).fit(data, directory=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_class_without_withheld_images_is_named(tmp_path):
    root = tmp_path / "set"
    names = [f"{'a' if k < 30 else 'b'}/{k:02d}.png" for k in range(38)]
    write_tree(root, textured_images(38, seed=5), names)
    data = ready(module(root, image_size=32))
    size = int(data.manifest.counts().loc["b", "train"])
    few = ready(module(root, image_size=32, train_size=size))
    with pytest.raises(DataError, match="class b has no withheld training image"):
        oracle().fit(few, directory=tmp_path / "oracle")


def test_weights_of_another_kind_are_refused(data, tmp_path):
    oracle().fit(data, directory=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["arguments"]["num_classes"] = 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match="a label is no class"):
        Oracle.load(tmp_path)
    config["arguments"] |= {"num_classes": 2, "image_size": 16}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(DataError, match=r"expected \[\d+, 1, 16, 16\] pixels"):
        Oracle.load(tmp_path)
    kept = {"images", "labels", "digests", "withheld"}
    assert load_file(tmp_path / "weights.safetensors").keys() == kept


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dose": 1.5}, "generator dose=1.5: expected a number in [0, 1]"),
        ({"dose": -0.1}, "generator dose=-0.1"),
        ({"damage": "blur"}, "generator damage=blur: expected one of attenuation, checkerboard"),
        ({"ratio": 0.0}, "generator ratio=0.0"),
        ({"seed": -1}, "generator seed=-1"),
        ({"channels": 2}, "generator channels=2"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ConfigError) as caught:
        oracle(**changes)
    assert words in str(caught.value)


def test_the_config_makes_it_and_the_command_line_sets_damage_and_dose():
    overrides = ["generator=oracle", "generator.dose=1", "generator.damage=noise", "out=x"]
    settings = plain(compose_config("generate", overrides).generator)
    assert settings.pop("name") == "oracle"
    assert settings.pop("training") == {}
    assert settings.pop("checkpoint") is None
    made = instantiate(settings, num_classes=2, channels=1, image_size=32)
    assert (made.damage, made.dose, made.ratio) == ("noise", 1, 0.5)
