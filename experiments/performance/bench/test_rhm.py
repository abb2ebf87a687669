"""RHM's network: forward and training step, with each option beside without."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from setting import Sizes, chosen_sizes, drawn_images
from torch import Tensor

from frerec.calibration.losses import reconstruction_loss
from frerec.networks import FETRestormer

PLAIN = "Restormer's blocks, without FESA"
FULL = "with FESA"
NETWORKS = [name for name, _ in chosen_sizes().batches]
# Each differs from `with FESA` (float32, channels-last, eager) in one thing.
FORWARDS: dict[str, dict[str, bool]] = {
    PLAIN: {"frequency_branch": False},
    FULL: {},
    "channels-first": {"channels_last": False},
    "bfloat16": {"bfloat16": True},
    "compiled": {"compile": True},
}
STEPS: dict[str, dict[str, bool]] = {
    PLAIN: {"frequency_branch": False},
    FULL: {},
    "bfloat16": {"bfloat16": True},
    "gradient checkpointing": {"checkpoint_gradients": True},
}


def make(name: str, *, bfloat16: bool = False, compile: bool = False, **options: bool) -> Any:
    """The network as a function of images, under autocast or compiled where asked for."""
    torch.manual_seed(0)
    network = FETRestormer.preset(name, 1, **options)
    mapped: Callable[[Tensor], Tensor] = torch.compile(network) if compile else network

    def forward(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return mapped(images)

    return network, forward


def needs_a_compiler(images: Tensor) -> None:
    """Skip, saying why, where torch.compile has nothing to compile with."""
    try:
        torch.compile(lambda x: torch.cos(x) + 1)(images)
    except Exception as error:
        first = str(error).strip().splitlines()[0]
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}: {first}")


@pytest.fixture(params=NETWORKS)
def case(request: pytest.FixtureRequest, sizes: Sizes) -> tuple[str, Tensor]:
    """A network's name and a batch for it."""
    count = dict(sizes.batches)[request.param]
    return request.param, drawn_images(count, side=sizes.mapped, seed=4)


@pytest.mark.parametrize("option", FORWARDS)
def test_forward(measure: Any, sizes: Sizes, case: tuple[str, Tensor], option: str) -> None:
    """Images through the network."""
    name, images = case
    arguments = FORWARDS[option]
    if arguments.get("compile"):
        if not sizes.compile:
            pytest.skip("compiling is left out of the tiny run")
        if name != "lite":
            pytest.skip("compiling base takes minutes on a CPU: it is measured on a GPU (gpu.py)")
        needs_a_compiler(images)
    network, forward = make(name, **arguments)
    network.eval()
    measure(
        lambda: forward(images),
        group=f"RHM {name}: forward at {sizes.mapped} px",
        name=option,
        per=len(images),
        unit="ms an image",
        reference=None if option == PLAIN else PLAIN,
        batch=len(images),
        parameters=sum(p.numel() for p in network.parameters()),
    )


@pytest.mark.parametrize("option", STEPS)
def test_training_step(measure: Any, sizes: Sizes, case: tuple[str, Tensor], option: str) -> None:
    """Forward, loss, backward and AdamW."""
    name, images = case
    network, forward = make(name, **STEPS[option])
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-4, weight_decay=1e-4)
    degraded = (images + 0.02).clamp(0, 1)

    def step() -> None:
        with torch.enable_grad():
            optimizer.zero_grad()
            loss = reconstruction_loss(forward(degraded), images)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()

    measure(
        step,
        group=f"RHM {name}: training step at {sizes.mapped} px",
        name=option,
        per=len(images),
        unit="ms an image",
        reference=None if option == PLAIN else PLAIN,
        rounds=min(3, sizes.rounds),
        batch=len(images),
    )
