"""The conditional FastGAN behind the generators' contract: it trains, resumes, learns classes."""

import json

import numpy as np
import pytest
import torch
from power_cut import Power
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import TensorDataset

from fixtures import textured_images
from frerec.errors import ConfigError, DataError
from frerec.generators import fastgan as fastgan_module
from frerec.generators import fit_generator, load_generator
from frerec.generators.fastgan import ConditionalFastGAN
from frerec.generators.fastgan_networks import both_sizes
from frerec.generators.grids import class_grid

SMALL = {
    "num_classes": 2, "channels": 1, "image_size": 64, "latent_dim": 8, "width": 4,
    "discriminator_width": 4,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def few_statistics():
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastgan_module, "BATCHES", 2)
        patch.setattr(fastgan_module, "BATCH", 16)
        yield


def fastgan(**changes) -> ConditionalFastGAN:
    return ConditionalFastGAN(**(SMALL | changes)).eval()


def images(count: int = 12, channels: int = 1) -> TensorDataset:
    pixels = textured_images(count, channels=channels, height=64, width=64)
    return TensorDataset(pixels, torch.arange(count) % 2)


def fit(directory, generator=None, dataset=None, **changes):
    arguments = {"steps": 4, "batch_size": 4, "seed": 2, "checkpoint_every": 2} | changes
    generator = fastgan() if generator is None else generator
    dataset = images() if dataset is None else dataset
    card = fit_generator(generator, dataset, directory=directory, accelerator="cpu", **arguments)
    return generator, card


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fastgan")
    generator, card = fit(directory, grid_every=2)
    return generator, card, directory


def test_a_sample_depends_on_seed_number_and_label_only(fitted):
    generator = fitted[0]
    torch.manual_seed(0)
    many = generator.sample(torch.tensor([0, 1, 0, 1]), seed=3)
    torch.manual_seed(1)
    few = generator.sample(torch.tensor([1, 0]), seed=3, numbers=[3, 1])
    torch.testing.assert_close(few[0], many[3], atol=1e-5, rtol=0)
    assert not torch.allclose(few[1], many[1], atol=1e-5)
    assert not torch.allclose(many, generator.sample(torch.tensor([0, 1, 0, 1]), 4), atol=1e-3)
    assert many.shape == (4, 1, 64, 64)
    assert 0 <= float(many.min()) < float(many.max()) <= 1


def test_saved_and_loaded_it_makes_the_same_samples(fitted):
    generator, card, directory = fitted
    load_file(directory / "weights.safetensors")
    loaded = load_generator(directory)
    assert isinstance(loaded, ConditionalFastGAN)
    labels = torch.tensor([0, 1, 1])
    assert torch.equal(loaded.sample(labels, 5), generator.sample(labels, 5))
    assert loaded.fingerprint() == generator.fingerprint() != fastgan().fingerprint()
    assert card["parameters"] == sum(p.numel() for p in generator.network.parameters())
    wanted = {f"train/{name}" for name in ("loss", "d_loss", "g_loss", "reconstruction")}
    assert card["final"].keys() == wanted
    assert all(np.isfinite(value) for value in card["final"].values())


def test_samples_do_not_depend_on_the_discriminator(fitted):
    generator = ConditionalFastGAN.load(fitted[2])
    before = generator.fingerprint()
    with torch.no_grad():
        generator.discriminator.head[-1].parametrizations.weight.original.zero_()
        next(generator.network.parameters()).zero_()
        assert generator.fingerprint() == before
        next(generator.averaged.parameters()).zero_()
    assert generator.fingerprint() != before


@pytest.mark.parametrize("images_before_the_cut", [2, 13])
def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    fitted, tmp_path, images_before_the_cut
):
    whole, card, _ = fitted  # it drew grids, which must not matter either
    with pytest.raises(OSError, match="power cut"):
        fit(tmp_path, dataset=Power(images(), images_before_the_cut))
    resumed, card_again = fit(tmp_path)
    mine, theirs = whole.state_dict(), resumed.state_dict()
    assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    assert {**card, "seconds": 0} == {**card_again, "seconds": 0}


@pytest.mark.parametrize("changes", [{"precision": "bf16-mixed"}, {"gradient_clip": None}])
def test_other_precisions_and_no_clipping_train(tmp_path, changes):
    _, card = fit(tmp_path, fastgan(channels=3), images(channels=3), steps=2, **changes)
    assert all(np.isfinite(value) for value in card["final"].values())


def test_every_class_needs_images(tmp_path):
    dataset = TensorDataset(images().tensors[0], torch.zeros(12, dtype=torch.int64))
    with pytest.raises(DataError, match="class number 1 has no training image"):
        fit(tmp_path, dataset=dataset, steps=1)


def test_the_gradient_of_each_network_is_clipped():
    generator = fastgan(learning_rate=1e-4, discriminator_learning_rate=3e-4)
    generator.gradient_clip = 0.25
    optimizers = generator.configure_optimizers()
    for optimizer, module in zip(
        optimizers, (generator.discriminator, generator.network), strict=True
    ):
        parameters = list(module.parameters())
        assert sum(len(g["params"]) for g in optimizer.param_groups) == len(parameters)
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        generator.on_before_optimizer_step(optimizer)
        norm = torch.stack([p.grad.norm() for p in parameters]).norm()
        assert float(norm) == pytest.approx(0.25, rel=1e-3)
    assert [optimizer.defaults["lr"] for optimizer in optimizers] == [3e-4, 1e-4]
    assert optimizers[0].defaults["betas"] == (0.5, 0.999)


def test_one_step_moves_both_networks_and_counts_the_classes():
    generator = fastgan()
    generator.train()
    optimizers = generator.configure_optimizers()
    generator.optimizers = lambda: optimizers
    generator.manual_backward = lambda loss: loss.backward()
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    pixels = images().tensors[0][:4]
    out = generator.training_step((pixels, torch.tensor([0, 1, 1, 1])), 0)
    assert all(value.ndim == 0 and bool(value.isfinite()) for value in out.values())
    for name, parameter in generator.named_parameters():
        moved = not torch.equal(before[name], parameter)
        assert moved == (not name.startswith("averaged")), name
    assert generator.class_counts.tolist() == [1, 3]
    assert all(p.requires_grad for p in generator.discriminator.parameters())


def test_only_real_images_are_reconstructed(monkeypatch):
    """The decoders see as many features as there are real images, and are held to real pixels."""
    generator = fastgan()
    generator.train()
    real, fake = (both_sizes(torch.rand(n, 1, 64, 64) * 2 - 1) for n in (4, 6))
    labels = torch.arange(6) % 2
    seen, targets = [], []
    for decoder in ("decode_whole", "decode_part", "decode_half"):
        module = getattr(generator.discriminator, decoder)
        module.register_forward_hook(lambda _m, x, _y: seen.append(len(x[0])))
    monkeypatch.setattr(
        generator, "reconstruction_loss", lambda _output, target: targets.append(target) or 3.0
    )
    torch.manual_seed(5)
    _, reconstruction = generator.discriminator_loss(real, labels[:4], fake, labels)
    assert (seen, reconstruction) == ([4, 4, 4], 3.0)
    torch.manual_seed(5)
    top, left = (32 * k for k in divmod(int(torch.randint(4, ())), 2))
    quarter = real.full[..., top : top + 32, left : left + 32]
    for target, expected in zip(targets, (real.half, quarter, real.half), strict=True):
        assert torch.equal(target, expected)


def test_the_averaged_network_gets_batch_statistics_of_its_own(fitted):
    """What a batch norm divides by is the variance that its own input then has."""
    generator = ConditionalFastGAN.load(fitted[2])
    seen = {}
    layers = {n: m for n, m in generator.averaged.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _m, x, name=name: seen.update({name: x[0].clone()}))
    generator.class_counts.copy_(torch.tensor([3, 1]))
    generator.measure_statistics()
    assert not any(m.training for m in generator.averaged.modules())
    stream = torch.Generator().manual_seed(9)
    latents = torch.randn(256, 8, generator=stream)
    with torch.no_grad():
        generator.decode(latents, torch.arange(256) % 4 // 3)
    for name, layer in layers.items():
        mean, deviation = seen[name].mean((0, 2, 3)), seen[name].std((0, 2, 3))
        scale = layer.running_var.sqrt()
        assert float(((deviation / scale) - 1).abs().mean()) < 0.25, name
        assert float(((mean - layer.running_mean) / scale).abs().mean()) < 0.35, name
        assert layer.momentum == 0.1


def test_statistics_are_measured_again_after_a_step_only(fitted, monkeypatch):
    generator = ConditionalFastGAN.load(fitted[2])
    calls = []
    measure = generator.measure_statistics
    monkeypatch.setattr(generator, "measure_statistics", lambda: (calls.append(1), measure()))
    class_grid(generator, columns=2)
    assert not calls
    generator.on_train_batch_end()
    class_grid(generator, columns=2)
    assert len(calls) == 1
    names = sorted(path.name for path in (fitted[2] / "grids").iterdir())
    assert names == ["step-0000002.png", "step-0000004.png"]


def test_samples_show_their_class_after_a_short_training(tmp_path):
    """Class 0 is dark, class 1 is bright."""
    pixels, labels = images(32).tensors
    pixels = 0.3 * pixels + 0.7 * labels[:, None, None, None]
    generator = fastgan(
        learning_rate=1e-3, discriminator_learning_rate=2e-3, ema_decay=0.95, augment=[]
    )
    fit(tmp_path, generator, TensorDataset(pixels, labels), steps=40, batch_size=8)
    dark, bright = (
        float(generator.sample(torch.full((16,), label), seed=0).mean()) for label in (0, 1)
    )
    assert bright > dark + 0.1
    losses = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert losses[-1]["train/reconstruction"] < 0.8 * losses[0]["train/reconstruction"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"image_size": 96},
            "generator image_size=96: FastGAN makes images of 64, 128, 256 pixels;"
            " set data.image_size=64",
        ),
        ({"image_size": 512}, "set data.image_size=256"),
        ({"width": 2}, "generator width=2: expected at least 4"),
        ({"reconstruction": "lpips"}, "reconstruction=lpips: expected one of pyramid, l1"),
        ({"reconstruction_weight": -1.0}, "generator reconstruction_weight=-1.0"),
        ({"beta1": 1.0}, "generator beta1=1.0: expected a number in [0, 1)"),
        ({"augment": ["flip"]}, "generator augment: flip is unknown"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ConfigError) as caught:
        fastgan(**changes)
    assert words in str(caught.value)
