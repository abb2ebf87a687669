"""RHM: averaged weights, validation figures, precision and the options that change no number."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fixtures import textured_images
from frerec.calibration import FreRec, ReconstructiveHighFrequencyMapping, load_calibrator
from frerec.calibration.averaging import WeightAverage
from frerec.calibration.reconstruction import ReconstructionQuality, reconstruction_gap
from frerec.calibration.rhm_training import RhmTraining
from frerec.errors import ConfigError
from frerec.networks.fet_restormer import PRESETS, Preset
from frerec.spectral import log_spectral_distance
from frerec.training_tools import load_checkpoint

QUICK = {"steps": 6, "batch_size": 4, "eval_every": 3, "accelerator": "cpu"}


def awake(**arguments: object) -> ReconstructiveHighFrequencyMapping:
    """An RHM that is not the identity that training starts from."""
    torch.manual_seed(0)
    rhm = ReconstructiveHighFrequencyMapping(**arguments)  # type: ignore[arg-type]
    torch.nn.init.normal_(rhm.network.output.weight, std=0.02)
    return rhm.eval()


def test_the_average_is_the_recurrence_of_its_description() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = WeightAverage(network, 0.5)
    expected = 0.0
    for update in range(1, 21):
        network.weight.data.fill_(float(update))
        average.update(network)
        decay = min(0.5, update / (update + 9))
        expected = decay * expected + (1 - decay) * update
    assert float(average.network.weight) == pytest.approx(expected, rel=1e-6)
    assert not average.network.weight.requires_grad


def test_the_average_goes_on_from_its_state() -> None:
    network = torch.nn.Linear(2, 2)
    first = WeightAverage(network, 0.9)
    first.update(network)
    second = WeightAverage(torch.nn.Linear(2, 2), 0.9)
    second.load_state_dict(first.state_dict())
    network.weight.data.add_(1)
    first.update(network)
    second.update(network)
    assert second.updates == 2
    assert torch.equal(first.network.weight, second.network.weight)


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay: float) -> None:
    with pytest.raises(ConfigError, match="ema_decay"):
        ReconstructiveHighFrequencyMapping(ema_decay=decay)


def test_the_averaged_weights_are_what_is_saved(tmp_path: Path) -> None:
    real = textured_images(20, seed=1)
    fitted = FreRec(shr={"neighbours": 4}, training=QUICK).fit(real, directory=tmp_path / "fit")
    best = fitted.report["best_step"]
    state = load_checkpoint(tmp_path / "fit" / f"best-{best:07d}.ckpt")["state_dict"]
    weights = fitted.rhm.network.state_dict()
    assert not torch.equal(state["network.output.weight"], weights["output.weight"])
    for name, value in weights.items():
        assert torch.equal(state[f"average.network.{name}"], value), name
    fitted.save(tmp_path / "model")
    loaded = load_calibrator(tmp_path / "model")
    assert not any("average" in name for name in loaded.state_dict())
    assert all(
        name.startswith(("shr.", "rhms.0.network.", "folds")) for name in loaded.state_dict()
    )


def test_without_a_decay_the_weights_themselves_are_kept(tmp_path: Path) -> None:
    fitted = FreRec(shr={"neighbours": 4}, rhm={"ema_decay": None}, training=QUICK)
    fitted.fit(textured_images(20, seed=1), directory=tmp_path)
    best = fitted.report["best_step"]
    state = load_checkpoint(tmp_path / f"best-{best:07d}.ckpt")["state_dict"]
    assert not any(name.startswith("average") for name in state)
    assert torch.equal(state["network.output.weight"], fitted.rhm.network.output.weight)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_figures_are_those_of_scikit_image(channels: int) -> None:
    clean = textured_images(5, channels=channels, height=30, width=33, seed=1)
    images = (clean + 0.05 * textured_images(5, channels=channels, height=30, width=33)).clamp(0, 1)
    quality = ReconstructionQuality()
    for rows in (slice(0, 3), slice(3, 5)):
        quality.add(images[rows], clean[rows])
    found = quality.result()
    pairs = [(a.numpy().astype(np.float64), b.numpy().astype(np.float64)) for a, b in
             zip(images, clean, strict=True)]  # fmt: skip
    psnr = np.mean([peak_signal_noise_ratio(b, a, data_range=1) for a, b in pairs])
    ssim = np.mean(
        [
            structural_similarity(
                a, b, data_range=1, channel_axis=0, gaussian_weights=True, sigma=1.5,
                use_sample_covariance=False,
            )
            for a, b in pairs
        ]
    )  # fmt: skip
    assert found["psnr"] == pytest.approx(psnr, abs=1e-4)
    assert found["ssim"] == pytest.approx(ssim, abs=1e-4)
    assert found["lsd_db"] == pytest.approx(log_spectral_distance(clean, images), abs=1e-9)
    high = log_spectral_distance(clean, images, minimum_radius=0.5)
    assert found["lsd_high_db"] == pytest.approx(high, abs=1e-9)


def test_under_mixed_precision_the_figures_are_those_of_float32() -> None:
    clean = textured_images(3, seed=1)
    images = (clean + 0.05 * textured_images(3)).clamp(0, 1)
    exact, mixed = ReconstructionQuality(), ReconstructionQuality()
    exact.add(images, clean)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed.add(images, clean)
    assert mixed.result() == exact.result()


def test_a_fit_in_mixed_precision_validates_in_float32(tmp_path: Path) -> None:
    training = {**QUICK, "steps": 2, "eval_every": 2, "precision": "bf16-mixed"}
    model = FreRec(shr={"neighbours": 4}, rhm={"learning_rate": 1e-2}, training=training)
    report = model.fit(textured_images(20, seed=1), directory=tmp_path).report
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    logged = next(line for line in lines if "val/ssim" in line)
    for name in ("psnr", "ssim", "lsd_db", "input_psnr", "input_ssim"):
        assert logged[f"val/{name}"] == pytest.approx(report[name], rel=1e-5), name


def test_the_precision_at_inference_has_no_part_in_a_fit(tmp_path: Path) -> None:
    real = textured_images(20, seed=1)
    logs = []
    for precision in ("32-true", "bf16-mixed"):
        folder = tmp_path / precision
        rhm = {"learning_rate": 1e-2, "inference_precision": precision}
        model = FreRec(shr={"neighbours": 4}, rhm=rhm, training={**QUICK, "steps": 2})
        model.fit(real, directory=folder)
        report = {key: value for key, value in model.report.items() if key != "seconds"}
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        logs.append([report, *({**line, "time": 0} for line in lines)])
        assert model.rhm.hparams["inference_precision"] == precision
    assert logs[0] == logs[1]
    plans = [(folder / "plan.json").read_text() for folder in sorted(tmp_path.iterdir())]
    assert plans[0] == plans[1]


def test_a_fit_reports_the_figures_of_its_input_and_its_output() -> None:
    report = FreRec(shr={"neighbours": 4}, training=QUICK).fit(textured_images(20, seed=1)).report
    for name in ("psnr", "ssim", "lsd_db", "lsd_high_db"):
        assert {name, f"input_{name}"} <= set(report)
        assert np.isfinite([report[name], report[f"input_{name}"]]).all()


def test_the_best_weights_are_chosen_by_the_monitored_figure(tmp_path: Path) -> None:
    training = {**QUICK, "steps": 4, "eval_every": 1, "monitor": "val/lsd_db"}
    fitted = FreRec(shr={"neighbours": 4}, rhm={"learning_rate": 1e-2}, training=training)
    fitted.fit(textured_images(20, seed=1), directory=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    scores = {line["step"]: line["val/lsd_db"] for line in lines if "val/lsd_db" in line}
    assert fitted.report["best_step"] == min(scores, key=scores.__getitem__)
    assert fitted.report["lsd_db"] == pytest.approx(min(scores.values()), rel=1e-6)


def test_an_unknown_monitor_and_options_are_named() -> None:
    with pytest.raises(ConfigError, match="val/psnr"):
        RhmTraining(monitor="val/auc")
    with pytest.raises(ConfigError, match="num_workers"):
        RhmTraining(num_workers=-1)
    with pytest.raises(ConfigError, match="compile=fast"):
        ReconstructiveHighFrequencyMapping(compile="fast")
    with pytest.raises(ConfigError, match="inference_precision=8"):
        ReconstructiveHighFrequencyMapping(inference_precision="8")


def test_gradient_checkpointing_changes_no_gradient() -> None:
    images, target = textured_images(2), textured_images(2, seed=1)
    gradients = []
    for again in (False, True):
        rhm = awake(checkpoint_gradients=again).train()
        rhm.training_step((images, target), 0)["loss"].backward()
        gradients.append([p.grad for p in rhm.network.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_the_memory_format_changes_no_output_beyond_rounding() -> None:
    images = textured_images(2, channels=3, height=37, width=29)
    planes = awake(channels=3, channels_last=False)
    pixels = copy.deepcopy(planes)
    pixels.network.channels_last = True
    with torch.no_grad():
        torch.testing.assert_close(planes(images), pixels(images), atol=2e-6, rtol=0)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_an_image_is_mapped_alike_alone_and_in_a_batch(precision: str) -> None:
    rhm, images = awake(inference_precision=precision), textured_images(4, height=40)
    with torch.no_grad():
        together = rhm(images)
        alone = torch.cat([rhm(image[None]) for image in images])
    assert together.dtype == torch.float32
    assert torch.equal(together, alone)


def test_inference_in_bfloat16_is_close_and_keeps_the_ffts_in_float32() -> None:
    images, exact = textured_images(1), awake()
    short = copy.deepcopy(exact)
    short.hparams["inference_precision"] = "bf16-mixed"
    dtypes = []
    original = torch.fft.rfft2

    def watched(x: torch.Tensor, **options: object) -> torch.Tensor:
        dtypes.append(x.dtype)
        return original(x, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(torch.fft, "rfft2", watched)
        found = short(images)
    assert set(dtypes) == {torch.float32}
    expected = exact(images)
    change = (expected - images).abs().mean()
    assert 0 < (found - expected).abs().mean() < 0.1 * change


def test_a_gpu_takes_a_bounded_number_of_pixels_at_a_time() -> None:
    rhm, batches = awake(), []

    class Watched(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            batches.append(len(images))
            return images

    rhm.network = Watched()  # type: ignore[assignment]
    for side, expected in ((256, [32, 32, 6]), (512, [8] * 8 + [6]), (128, [70]), (4096, [1] * 70)):
        batches.clear()
        images = torch.empty(70, 1, side, side, device="meta")  # like a GPU, no CPU
        assert rhm(images).shape == images.shape
        assert batches == expected


def test_a_compiled_network_gives_the_same_output_and_gradients() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    images, target = textured_images(2), textured_images(2, seed=1)
    original = torch.compile
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", Preset(4, (1, 1), 1, (1, 2), 2.0))
        patch.setattr(
            torch,
            "compile",
            lambda call, mode, dynamic: original(call, backend=backend, dynamic=dynamic),
        )
        compiled, plain = awake(network="tiny", compile=True), awake(network="tiny")
    with torch.no_grad():
        torch.testing.assert_close(compiled(images), plain(images), atol=1e-6, rtol=0)
    assert len(graphs) == 1  # the whole network is one graph
    # The ring matrices are constants of the graph, and not made again at every call.
    made = {torch.zeros, torch.ones, torch.arange, torch.fft.fftfreq, torch.diag}
    assert not made & {node.target for node in graphs[0].graph.nodes}
    other = textured_images(1, height=24, width=40)  # other rings: another graph
    with torch.no_grad():
        torch.testing.assert_close(compiled(other), plain(other), atol=1e-6, rtol=0)
    gradients = []
    for rhm in (compiled, plain):
        rhm.train().training_step((images, target), 0)["loss"].backward()
        gradients.append([parameter.grad for parameter in rhm.network.parameters()])
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)
    assert list(compiled.state_dict()) == list(plain.state_dict())


def test_a_compiled_network_keeps_the_names_of_its_weights() -> None:
    compiled = ReconstructiveHighFrequencyMapping(compile=True)
    plain = ReconstructiveHighFrequencyMapping()
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert compiled.network._compiled_call_impl is not None
    plain.load_state_dict(compiled.state_dict())


def test_the_gap_is_measured_between_images_of_the_fit_and_others() -> None:
    real, others = textured_images(12, seed=1), textured_images(5, seed=2)
    fitted = FreRec(shr={"neighbours": 2}, training={**QUICK, "steps": 2, "eval_every": 2}).fit(
        real
    )
    gap = reconstruction_gap(fitted, real, others, batch_size=4)
    for images, found in ((real, gap.train), (others, gap.held_out)):
        calibrated = fitted.transform(images).numpy()
        psnr = [
            peak_signal_noise_ratio(a, b, data_range=1)
            for a, b in zip(images.numpy(), calibrated, strict=True)
        ]
        assert found["psnr"] == pytest.approx(np.mean(psnr), abs=1e-3)
    same = reconstruction_gap(fitted, real, real)
    assert same.log_power_after == same.log_power_before == 0
    assert gap.log_power_before > 0
    assert gap.high_log_power_after > 0
