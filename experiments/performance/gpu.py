"""The GPU's figures: SHR and RHM end to end, their parts, training, and memory, in one run.

python experiments/performance/gpu.py OUT.json [key=value ...]

Keys: device=cuda side=256 batch=32 bank=2000 neighbours=200 network=base rounds=20 train_batch=8
compile=true seconds=330. Needs frerec, torch and nothing of the benchmarks' own. OUT.json is
written after every figure, so that a run that is cut short leaves what it has; what would start
later than `seconds` is listed under `left_out`. A time is the fastest of `rounds` calls after
two warm-up calls, between two synchronisations. The search stays in float32 and out of autocast,
which would change its ranking; RHM alone runs in bfloat16.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent / "bench"))
from setting import drawn_images, machine

from frerec.calibration import FreRec, StatisticalHighFrequencyReplacement
from frerec.calibration.losses import reconstruction_loss
from frerec.networks import FETRestormer


@dataclass(frozen=True)
class Settings:
    """What is measured; see the module."""

    device: str = "cuda"
    side: int = 256
    batch: int = 32
    bank: int = 2000
    neighbours: int = 200
    network: str = "base"
    rounds: int = 20
    train_batch: int = 8
    compile: bool = True
    seconds: int = 330

    @classmethod
    def parse(cls, arguments: list[str]) -> "Settings":
        """From ``key=value`` words."""
        kinds = {field.name: type(field.default) for field in fields(cls)}
        given: dict[str, Any] = {}
        for argument in arguments:
            key, _, value = argument.partition("=")
            if key not in kinds or (kinds[key] is bool and value not in ("true", "false")):
                sys.exit(f"{argument}: expected one of {', '.join(kinds)}, as key=value")
            given[key] = value == "true" if kinds[key] is bool else kinds[key](value)
        return cls(**given)


class Run:
    """The record, and how a figure gets into it."""

    def __init__(self, settings: Settings, out: Path) -> None:
        self.settings, self.out = settings, out
        self.cuda = settings.device.startswith("cuda")
        self.start = time.perf_counter()
        self.result: dict[str, Any] = {
            "machine": machine(),
            "settings": asdict(settings),
            "records": [],
            "left_out": [],
        }

    def synchronise(self) -> None:
        """Wait until the device has done everything."""
        if self.cuda:
            torch.cuda.synchronize()

    def measure(
        self, name: str, call: Callable[[], Any], *, images: int, rounds: int | None = None
    ) -> dict[str, Any] | None:
        """Time a call and note its peak memory; an error is noted in place of a figure."""
        if time.perf_counter() - self.start > self.settings.seconds:
            self.result["left_out"].append(name)
            return None
        item: dict[str, Any] = {"name": name}
        try:
            begun = time.perf_counter()
            call()
            self.synchronise()
            item["first_call_s"] = round(time.perf_counter() - begun, 2)
            call()
            self.synchronise()
            if self.cuda:
                torch.cuda.reset_peak_memory_stats()
            times = []
            for _ in range(rounds or self.settings.rounds):
                self.synchronise()
                begun = time.perf_counter()
                call()
                self.synchronise()
                times.append(time.perf_counter() - begun)
            times.sort()
            item["ms_an_image"] = float(f"{times[0] * 1000 / images:.4g}")
            item["median_ms_an_image"] = float(f"{times[len(times) // 2] * 1000 / images:.4g}")
            if self.cuda:
                item["peak_MiB"] = round(torch.cuda.max_memory_allocated() / 2**20)
        except Exception as error:  # a figure that cannot be had must not cost the others
            item["error"] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        self.add(item)
        return item

    def add(self, item: dict[str, Any]) -> None:
        """Keep a record and write the file."""
        self.result["records"].append(item)
        self.write()
        print(json.dumps(item), flush=True)

    def write(self) -> None:
        """Write what there is under a temporary name, then rename."""
        done = [r for r in self.result["records"] if r["name"].startswith("end to end")]
        done = [r for r in done if "ms_an_image" in r]
        if done:
            self.result["best_end_to_end"] = min(done, key=lambda r: r["ms_an_image"])
        partial = self.out.with_name(self.out.name + ".partial")
        partial.write_text(json.dumps(self.result, indent=1) + "\n", encoding="utf-8")
        partial.replace(self.out)


def draw_weights(network: FETRestormer) -> None:
    """The same weights for all variants; the last layer starts at zero, and is drawn here."""
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            std = parameter[0].numel() ** -0.5 if parameter is not network.output.weight else 0.01
            torch.nn.init.normal_(parameter, std=std, generator=generator)


def make_network(settings: Settings, **options: bool) -> FETRestormer:
    """RHM's network with drawn weights."""
    network = FETRestormer.preset(settings.network, 1, **options)
    draw_weights(network)
    return network.to(settings.device)


def decibel(a: Tensor, b: Tensor) -> float:
    """PSNR of one against the other; images in [0, 1]."""
    return round(float(-10 * torch.log10((a - b).square().mean().clamp_min(1e-12))), 1)


FAST = {"inference_precision": "bf16-mixed"}
EAGER: dict[str, dict[str, Any]] = {
    "bfloat16, channels-last": FAST,
    "float32, channels-last": {},
    "bfloat16, channels-first": {**FAST, "channels_last": False},
    "bfloat16, channels-last, without FESA": {**FAST, "frequency_branch": False},
}
COMPILED: dict[str, dict[str, Any]] = {
    "bfloat16, channels-last, compiled": {**FAST, "compile": True},
    "bfloat16, channels-last, compiled with CUDA graphs": {**FAST, "compile": "reduce-overhead"},
}


class Inference:
    """The fitted stages, and a batch at each point between them."""

    @torch.no_grad()
    def __init__(self, run: Run) -> None:
        settings, device = run.settings, torch.device(run.settings.device)
        self.run = run
        drawn = drawn_images(settings.bank + settings.batch, side=settings.side, seed=1)
        shr = StatisticalHighFrequencyReplacement(neighbours=settings.neighbours)
        shr.fit(drawn[: settings.bank])
        self.images = drawn[settings.bank :]
        on_cpu = shr.neighbour_indices(self.images[:2])
        self.shr = shr.to(device)
        self.images = self.images.to(device)
        self.rows = self.shr.neighbour_indices(self.images)
        self.degraded = self.shr.replace(self.images, self.rows).clamp(0, 1)
        self.reference = self.calibrator({}).rhm(self.degraded)
        pairs = zip(self.rows.cpu()[:2], on_cpu, strict=True)
        share = torch.stack([torch.isin(a, b).float().mean() for a, b in pairs]).mean()
        run.add({"name": "neighbours as on the CPU, share", "value": round(float(share), 4)})

    def calibrator(self, options: dict[str, Any]) -> FreRec:
        """FreRec with the fitted SHR and an RHM of drawn weights."""
        frerec = FreRec(rhm={"network": self.run.settings.network, **options})
        draw_weights(frerec.rhm.network)
        frerec.shr = self.shr
        return frerec.to(self.run.settings.device).eval()

    @torch.no_grad()
    def parts(self) -> None:
        """The search and the replacement."""
        count = len(self.images)
        self.run.measure("search", lambda: self.shr.neighbour_indices(self.images), images=count)
        self.run.measure(
            "SHR with given neighbours",
            lambda: self.shr.replace(self.images, self.rows),
            images=count,
        )

    @torch.no_grad()
    def variants(self, variants: dict[str, dict[str, Any]]) -> None:
        """RHM alone and everything together, as a user calls them, for each set of options."""
        network, count = self.run.settings.network, len(self.images)
        for name, options in variants.items():
            frerec = self.calibrator(options)
            item = self.run.measure(
                f"RHM {network}: {name}", lambda f=frerec: f.rhm(self.degraded), images=count
            )
            if item is None or "error" in item or not options.get("frequency_branch", True):
                continue
            item["dB_to_float32"] = decibel(frerec.rhm(self.degraded), self.reference)
            self.run.measure(
                f"end to end, {network}: {name}", lambda f=frerec: f(self.images), images=count
            )


def training(run: Run) -> None:
    """A step of RHM in bfloat16: with and without FESA, with and without checkpointing."""
    settings = run.settings
    clean = drawn_images(settings.train_batch, side=settings.side, seed=2).to(settings.device)
    degraded = (clean + 0.02).clamp(0, 1)
    device = settings.device.partition(":")[0]
    for name, options in (
        ("with FESA", {}),
        ("without FESA", {"frequency_branch": False}),
        ("gradient checkpointing", {"checkpoint_gradients": True}),
    ):
        network = make_network(settings, **options).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4, weight_decay=1e-4)

        def step(network: Any = network, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            with torch.autocast(device, torch.bfloat16):
                out = network(degraded)
            reconstruction_loss(out, clean).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

        run.measure(
            f"training step of {settings.train_batch}: {name}",
            step,
            images=settings.train_batch,
            rounds=max(1, settings.rounds // 2),
        )


def main(out: Path, settings: Settings) -> None:
    """Measure everything."""
    if settings.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit(f"device={settings.device}: no CUDA device here; nothing was measured")
    out.parent.mkdir(parents=True, exist_ok=True)
    run = Run(settings, out)
    stages = Inference(run)
    stages.parts()
    stages.variants(EAGER)
    training(run)
    if settings.compile:  # last: compiling takes minutes
        stages.variants(COMPILED)
    run.result["seconds"] = round(time.perf_counter() - run.start)
    run.write()


if __name__ == "__main__":
    if len(sys.argv) < 2 or "=" in sys.argv[1]:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Settings.parse(sys.argv[2:]))
