"""What every generator promises: samples by seed and number, an average, weights without pickle."""

import json

import numpy as np
import pytest
import torch
from power_cut import Power
from safetensors.torch import load_file
from torch.utils.data import TensorDataset

from frerec.errors import ConfigError, DataError
from frerec.generators import ConditionalVAE, fit_generator


def vae(**changes) -> ConditionalVAE:
    arguments = {
        "num_classes": 2, "channels": 1, "image_size": 32, "latent_dim": 8, "width": 4
    } | changes  # fmt: skip
    return ConditionalVAE(**arguments).eval()


def images(count: int = 24, channels: int = 1) -> TensorDataset:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 1, (count, channels, 32, 32)).astype(np.float32)
    return TensorDataset(torch.from_numpy(pixels), torch.arange(count) % 2)


def fit(directory, generator=None, dataset=None, **changes):
    arguments = {"steps": 6, "batch_size": 4, "seed": 2, "checkpoint_every": 2} | changes
    generator = vae() if generator is None else generator
    card = fit_generator(
        generator, images() if dataset is None else dataset, directory=directory,
        accelerator="cpu", **arguments,
    )  # fmt: skip
    return generator, card


@pytest.mark.parametrize("channels", [1, 3])
def test_samples_are_images_in_range(channels):
    samples = vae(channels=channels).sample(torch.tensor([0, 1, 1]), seed=0)
    assert samples.shape == (3, channels, 32, 32)
    assert samples.dtype == torch.float32
    assert 0 <= float(samples.min()) <= float(samples.max()) <= 1


def test_a_sample_depends_on_seed_number_and_label_only():
    generator = vae()
    torch.manual_seed(0)
    many = generator.sample(torch.tensor([0, 1, 0, 1, 1]), seed=3)
    torch.manual_seed(1)
    few = generator.sample(torch.tensor([0, 1]), seed=3, numbers=[2, 4])
    torch.testing.assert_close(few, many[[2, 4]], atol=1e-6, rtol=0)
    assert torch.equal(many, generator.sample(torch.tensor([0, 1, 0, 1, 1]), seed=3))
    assert not torch.equal(many, generator.sample(torch.tensor([0, 1, 0, 1, 1]), seed=4))
    other = generator.sample(torch.tensor([1, 1]), seed=3)
    assert torch.allclose(other[1], many[1], atol=1e-6)
    assert not torch.allclose(other[0], many[0], atol=1e-6)


def test_sampling_refuses_labels_that_are_no_class():
    with pytest.raises(DataError, match="classes 0 to 1"):
        vae().sample(torch.tensor([0, 2]), seed=0)
    with pytest.raises(DataError, match="2 labels but 1 image numbers"):
        vae().sample(torch.tensor([0, 1]), seed=0, numbers=[0])
    assert vae().sample(torch.zeros(0, dtype=torch.int64), seed=0).shape == (0, 1, 32, 32)


def test_the_average_follows_its_formula():
    generator = vae(ema_decay=0.5)
    expected = generator.network.out.weight.detach().clone()
    for step in range(1, 15):
        with torch.no_grad():
            generator.network.out.weight.normal_(generator=torch.Generator().manual_seed(step))
        generator.on_train_batch_end()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * generator.network.out.weight.detach()
    torch.testing.assert_close(generator.averaged.out.weight, expected)


def test_saved_and_loaded_it_makes_the_same_samples(tmp_path):
    generator, _ = fit(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} <= {".json", ".jsonl", ".safetensors"}
    load_file(tmp_path / "weights.safetensors")
    loaded = ConditionalVAE.load(tmp_path)
    labels = torch.tensor([0, 1, 1])
    assert torch.equal(loaded.sample(labels, 5), generator.sample(labels, 5))
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.fingerprint() != vae().fingerprint()


def test_loading_damaged_or_missing_files_is_a_one_line_error(tmp_path):
    with pytest.raises(DataError, match=r"config\.json: no such file"):
        ConditionalVAE.load(tmp_path)
    vae().save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"half")
    with pytest.raises(DataError, match=r"weights\.safetensors: not this generator's weights"):
        ConditionalVAE.load(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"generator": "Other"}))
    with pytest.raises(DataError, match="holds a Other, expected a ConditionalVAE"):
        ConditionalVAE.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="not a generator's config"):
        ConditionalVAE.load(tmp_path)


@pytest.mark.parametrize("images_before_the_cut", [3, 10, 23])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    tmp_path, images_before_the_cut
):
    whole, card = fit(tmp_path / "whole")
    with pytest.raises(OSError, match="power cut"):
        fit(tmp_path / "cut", dataset=Power(images(), images_before_the_cut))
    resumed, card_again = fit(tmp_path / "cut")
    mine, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert {**card, "seconds": 0} == {**card_again, "seconds": 0}


def test_a_finished_training_is_only_loaded(tmp_path):
    generator, card = fit(tmp_path)
    again, card_again = fit(tmp_path, dataset=Power(images(), 0))
    assert card_again == card
    labels = torch.tensor([0, 1])
    assert torch.equal(generator.sample(labels, 0), again.sample(labels, 0))
    assert not again.training


def test_the_card_says_what_was_done(tmp_path):
    generator, card = fit(tmp_path)
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert (card["steps"], card["batch_size"], card["seed"], card["images"]) == (6, 4, 2, 24)
    assert card["parameters"] == sum(p.numel() for p in generator.network.parameters())
    assert card["seconds"] > 0
    assert {"train/loss", "train/mse", "train/kl"} == card["final"].keys()


def test_another_training_in_the_same_folder_is_refused(tmp_path):
    fit(tmp_path)
    with pytest.raises(ConfigError, match="another steps and seed"):
        fit(tmp_path, steps=8, seed=3)
    with pytest.raises(ConfigError, match="another arguments"):
        fit(tmp_path, vae(beta=2.0))


@pytest.mark.parametrize("changes", [{"checkpoint_every": 4}, {"grid_every": 2}])
def test_when_it_pauses_changes_no_weight(tmp_path, changes):
    """The store keys no training by these settings, so a killed one may go on with others."""
    with pytest.raises(OSError, match="power cut"):
        fit(tmp_path / "cut", dataset=Power(images(), 10))
    weights = [
        fit(tmp_path / "one")[0].state_dict(),
        fit(tmp_path / "two", **changes)[0].state_dict(),
        fit(tmp_path / "cut", **changes)[0].state_dict(),
        fit(tmp_path / "one", **changes)[0].state_dict(),  # only loads
    ]
    for other in weights[1:]:
        assert all(torch.equal(value, other[key]) for key, value in weights[0].items())


def test_settings_of_sampling_may_change_between_a_kill_and_the_resume(tmp_path):
    with pytest.raises(OSError, match="power cut"):
        fit(tmp_path, dataset=Power(images(), 10))
    cooler, _ = fit(tmp_path, vae(temperature=0.5))
    assert cooler.hparams["temperature"] == 0.5
    again, _ = fit(tmp_path, vae(temperature=0.7), dataset=Power(images(), 0))
    assert torch.equal(again.averaged.out.weight, cooler.averaged.out.weight)
    assert again.hparams["temperature"] == 0.7


def test_every_class_needs_images(tmp_path):
    dataset = TensorDataset(images().tensors[0], torch.zeros(24, dtype=torch.int64))
    with pytest.raises(DataError, match="class number 1 has no training image"):
        fit(tmp_path, dataset=dataset)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"image_size": 100},
            "generator image_size=100: the VAE needs a multiple of 16; set data.image_size=96",
        ),
        ({"channels": 2}, "generator channels=2: expected 1 (grey) or 3 (colour)"),
        ({"num_classes": 0}, "generator num_classes=0"),
        ({"latent_dim": 0}, "generator latent_dim=0"),
        ({"ema_decay": 1.0}, "generator ema_decay=1.0"),
        ({"beta": -1.0}, "generator beta=-1.0"),
        ({"temperature": -0.1}, "generator temperature=-0.1"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ConfigError) as caught:
        vae(**changes)
    assert words in str(caught.value)
