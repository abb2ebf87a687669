"""The diffusion model: training, guidance and the contract of a generator."""

import json
import math

import numpy as np
import pytest
import torch
from power_cut import Power
from torch.utils.data import TensorDataset

from frerec.errors import ConfigError, DataError
from frerec.generators import fit_generator, load_generator
from frerec.generators.ddpm import ConditionalDDPM, spread_times

LABELS = torch.tensor([0, 1, 0, 1, 1])


def ddpm(**changes) -> ConditionalDDPM:
    arguments = {
        "num_classes": 2, "channels": 1, "image_size": 16, "widths": [8, 16], "warmup": 2,
        "attention": [False, True], "head_channels": 8, "norm_groups": 4, "sampling_steps": 3,
    } | changes  # fmt: skip
    return ConditionalDDPM(**arguments).eval()


def awake(**changes) -> ConditionalDDPM:
    """With weights that are not zero where the UNet begins with zeros."""
    generator = ddpm(**changes)
    stream = torch.Generator().manual_seed(0)
    for parameter in generator.averaged.parameters():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=stream)
    return generator


def images(count: int = 24, channels: int = 1) -> TensorDataset:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 1, (count, channels, 16, 16)).astype(np.float32)
    return TensorDataset(torch.from_numpy(pixels), torch.arange(count) % 2)


def fit(directory, generator=None, dataset=None, **changes):
    arguments = {"steps": 6, "batch_size": 4, "seed": 2, "checkpoint_every": 2} | changes
    generator = ddpm() if generator is None else generator
    card = fit_generator(
        generator, images() if dataset is None else dataset, directory=directory,
        accelerator="cpu", **arguments,
    )  # fmt: skip
    return generator, card


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("patch", [1, 2, 4])
def test_samples_are_images_in_range(channels, patch):
    samples = awake(channels=channels, patch=patch).sample(torch.tensor([0, 1, 1]), seed=0)
    assert samples.shape == (3, channels, 16, 16)
    assert samples.dtype == torch.float32
    assert 0 <= float(samples.min()) < float(samples.max()) <= 1


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_sample_depends_on_seed_number_and_label_only(guidance):
    generator = awake(guidance=guidance)
    torch.manual_seed(0)
    many = generator.sample(LABELS, seed=3)
    torch.manual_seed(1)
    few = generator.sample(LABELS[:2], seed=3, numbers=[2, 4])
    torch.testing.assert_close(few, many[[2, 4]], atol=1e-5, rtol=0)
    assert torch.equal(many, generator.sample(LABELS, seed=3))
    assert not torch.equal(many, generator.sample(LABELS, seed=4))
    other = generator.sample(torch.tensor([1, 1]), seed=3)
    torch.testing.assert_close(other[1], many[1], atol=1e-5, rtol=0)
    assert not torch.allclose(other[0], many[0], atol=1e-3)


def test_sampling_leaves_the_global_random_numbers_alone():
    generator = awake(guidance=2.0)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    generator.sample(LABELS, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_guidance_is_its_formula():
    seen = []

    class Stub(torch.nn.Module):
        def forward(self, noisy, times, labels):
            seen.append(len(noisy))
            return labels.float()[:, None, None, None] + 0.01 * times[:, None, None, None] * noisy

    generator = ddpm(guidance=3.0)
    generator.averaged = Stub()
    noisy, times = torch.randn(2, 1, 16, 16), torch.tensor([5, 7])
    got = generator.guided(noisy, times, torch.tensor([0, 1]))
    common = 0.01 * times[:, None, None, None] * noisy
    # eps_u + w (eps_c - eps_u) with the empty label 2
    expected = common + 2 + 3.0 * (torch.tensor([0.0, 1.0])[:, None, None, None] - 2)
    torch.testing.assert_close(got, expected)
    generator.set_sampling(guidance=1.0)
    got = generator.guided(noisy, times, torch.tensor([0, 1]))
    torch.testing.assert_close(got[1], common[1] + 1)
    assert seen == [4, 2]  # without guidance one evaluation an image


def test_sampling_can_be_changed_after_training(tmp_path):
    generator = awake()
    before, mark = generator.sample(LABELS, 0), generator.fingerprint()
    generator.set_sampling(guidance=2.0, sampling_steps=5, sampling_spacing="even")
    assert not torch.allclose(generator.sample(LABELS, 0), before, atol=1e-3)
    assert generator.fingerprint() != mark
    generator.save(tmp_path)
    again = load_generator(tmp_path)
    assert torch.equal(again.sample(LABELS, 0), generator.sample(LABELS, 0))
    with pytest.raises(ConfigError, match="sampling_steps=0: expected an integer from 1 to 1000"):
        generator.set_sampling(sampling_steps=0)


def test_labels_are_dropped_as_often_as_asked():
    labels = torch.arange(20000) % 2
    torch.manual_seed(0)
    told = ddpm(label_dropout=0.1).drop_labels(labels)
    dropped = told == 2
    assert float(dropped.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(told[~dropped], labels[~dropped])
    assert torch.equal(ddpm(label_dropout=0.0).drop_labels(labels), labels)


def test_times_are_uniform_and_spread_over_the_batch():
    torch.manual_seed(0)
    drawn = torch.stack([spread_times(8, torch.device("cpu")) for _ in range(2000)])
    assert torch.equal(drawn.sort(1).values // 125, torch.arange(8).expand(2000, 8))
    assert float(drawn[:, 0].float().mean()) == pytest.approx(499.5, abs=20)
    assert len(drawn.unique()) == 1000


def test_the_loss_is_the_weighted_error_of_the_prediction():
    generator = ddpm(min_snr=5.0)
    with torch.no_grad():  # predicts zero, so that the error is the target's square
        for parameter in generator.network.unet.out[-1].parameters():
            parameter.zero_()
    batch = images()[:4]
    torch.manual_seed(0)
    with torch.no_grad():
        out = generator.training_step(batch, 0)
    torch.manual_seed(0)
    noise, times = torch.randn(4, 1, 16, 16), spread_times(4, torch.device("cpu"))
    f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    a = np.cumprod(1 - np.clip(1 - f[1:] / f[:-1], 0, 0.999))[times.numpy()]
    shaped = a[:, None, None, None]
    velocity = np.sqrt(shaped) * noise.numpy() - np.sqrt(1 - shaped) * (2 * batch[0].numpy() - 1)
    errors = (velocity**2).mean((1, 2, 3))
    weights = np.minimum(a / (1 - a), 5.0) * (1 - a)  # SNR + 1 = 1 / (1 - a)
    assert float(out["mse"]) == pytest.approx(errors.mean(), rel=1e-4)
    assert float(out["loss"]) == pytest.approx((weights * errors).mean(), rel=2e-3)


def test_the_learning_rate_rises_and_falls():
    generator = ddpm(warmup=10)
    generator.total_steps = 100
    assert generator.rate(0) == pytest.approx(0.1 * (0.05 + 0.95))
    assert generator.rate(50) == pytest.approx(0.05 + 0.95 / 2)
    assert generator.rate(100) == pytest.approx(0.05)
    generator.decay = "constant"
    assert [generator.rate(step) for step in (4, 9, 99)] == [0.5, 1.0, 1.0]


def test_it_learns_which_class_is_bright(tmp_path):
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    pixels = (0.2 + 0.6 * labels)[:, None, None, None] + rng.normal(0, 0.05, (64, 1, 16, 16))
    dataset = TensorDataset(torch.from_numpy(pixels).float(), torch.from_numpy(labels))
    generator, _ = fit(
        tmp_path,
        ddpm(
            patch=4, widths=[32], attention=[False], learning_rate=1e-2, ema_decay=0.9,
            sampling_steps=10,
        ),
        dataset, steps=80, batch_size=32, checkpoint_every=80,
    )  # fmt: skip
    means = generator.sample(torch.tensor([0, 1] * 8), seed=0).mean((1, 2, 3)).view(8, 2).mean(0)
    assert float(means[0]) == pytest.approx(0.2, abs=0.15)
    assert float(means[1]) == pytest.approx(0.8, abs=0.15)


def test_the_empty_label_is_learned_too():
    generator = ddpm(label_dropout=0.5)
    torch.manual_seed(0)
    # The output layer begins at zero and would hold every gradient back.
    torch.nn.init.normal_(generator.network.unet.out[-1].conv.weight, std=0.1)
    for block in generator.network.modules():
        if hasattr(block, "conv2"):
            torch.nn.init.normal_(block.conv2.conv.weight, std=0.1)
    generator.training_step(images()[:24], 0)["loss"].backward()
    gradient = generator.network.unet.class_embedding.weight.grad
    assert gradient.shape[0] == 3
    assert (gradient.abs().sum(1) > 0).all()


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


def test_saved_and_loaded_it_makes_the_same_samples(tmp_path):
    generator, card = fit(tmp_path, grid_every=6)
    assert json.loads((tmp_path / "card.json").read_text()) == card
    assert {"train/loss", "train/mse"} == card["final"].keys()
    assert (tmp_path / "grids" / "step-0000006.png").exists()
    loaded = load_generator(tmp_path)
    assert isinstance(loaded, ConditionalDDPM)
    assert torch.equal(loaded.sample(LABELS, 5), generator.sample(LABELS, 5))
    assert loaded.fingerprint() == generator.fingerprint()
    assert loaded.fingerprint() != ddpm().fingerprint()


def test_half_precision_trains_and_samples_in_full(tmp_path):
    generator, card = fit(tmp_path, precision="bf16-mixed")
    assert math.isfinite(card["final"]["train/loss"])
    assert {p.dtype for p in generator.averaged.parameters()} == {torch.float32}


def test_every_class_needs_images(tmp_path):
    dataset = TensorDataset(images().tensors[0], torch.zeros(24, dtype=torch.int64))
    with pytest.raises(DataError, match="class number 1 has no training image"):
        fit(tmp_path, dataset=dataset)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"image_size": 22, "patch": 4},
            "image_size=22: patch=4 and 2 widths need a multiple of 8; set data.image_size=24",
        ),
        ({"channels": 2}, "channels=2: expected 1 (grey) or 3 (colour)"),
        ({"image_size": 0}, "image_size=0"),
        ({"num_classes": 0}, "num_classes=0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
        ({"widths": [8, 18]}, "widths=[8, 18]: expected multiples of norm_groups=4"),
        ({"widths": []}, "widths=[]"),
        ({"attention": [True]}, "attention=[True]: expected true or false for each of the 2"),
        ({"head_channels": 5}, "head_channels=5: expected a divisor of the widths that attend, 16"),
        ({"res_blocks": 0}, "res_blocks=0: expected an integer of at least 1"),
        ({"norm_groups": 0}, "norm_groups=0"),
        ({"patch": 3}, "patch=3: expected 1, 2 or 4"),
        ({"noise_schedule": "sine"}, "noise_schedule=sine: expected one of linear"),
        ({"prediction": "image"}, "prediction=image: expected one of epsilon, v_prediction"),
        ({"min_snr": 0.0}, "min_snr=0.0: expected null or a number above 0"),
        ({"label_dropout": 1.0}, "label_dropout=1.0: expected a number in [0, 1)"),
        ({"guidance": 0.0}, "guidance=0.0: expected a number above 0"),
        ({"guidance": 2.0, "label_dropout": 0.0}, "guidance=2.0: needs the prediction without"),
        ({"sampling_steps": 1001}, "sampling_steps=1001: expected an integer from 1 to 1000"),
        ({"sampling_spacing": "log"}, "sampling_spacing=log: expected one of even, quadratic"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: expected a number above 0"),
        ({"warmup": -1}, "warmup=-1: expected a number of steps"),
        ({"decay": "step"}, "decay=step: expected one of cosine, constant"),
    ],
)
def test_values_out_of_range_are_named_in_one_line(changes, words):
    with pytest.raises(ConfigError) as caught:
        ddpm(**changes)
    assert f"generator {words}" in str(caught.value)
    assert "\n" not in str(caught.value)
