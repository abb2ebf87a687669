"""An exponential moving average (EMA) of a network's weights during training."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from frerec.errors import ConfigError


class WeightAverage(nn.Module):
    """A copy of a network whose weights follow those of the original slowly.

    After update t (from 1): ``average = d average + (1 - d) weights`` with
    ``d = min(decay, t / (t + 9))`` [ours]: the average forgets the untrained weights within a few
    updates, so that short trainings are not held back.

    The number of updates travels in the state dict, so that a resumed training goes on exactly.

    Args:
        network: The network that is trained; it is copied.
        decay: d in the long run, in [0, 1).

    Raises:
        ConfigError: If the decay is outside its range.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        check_decay(decay)
        self.decay, self.updates = decay, 0
        self.network = copy.deepcopy(network).requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the weights of ``network``."""
        self.updates += 1
        decay = min(self.decay, self.updates / (self.updates + 9))
        mine: list[Tensor] = list(self.network.parameters())
        theirs: list[Tensor] = list(network.parameters())
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.network.buffers(), network.buffers(), strict=True):
            own.copy_(other)

    def forward(self, images: Tensor) -> Tensor:
        """The averaged network's output."""
        out: Tensor = self.network(images)
        return out

    def get_extra_state(self) -> dict[str, Any]:
        """The number of updates so far."""
        return {"updates": self.updates}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go on from this number of updates."""
        self.updates = int(state["updates"])


def check_decay(decay: float) -> None:
    """Raise ConfigError where an average cannot have this decay."""
    if not 0 <= decay < 1:
        raise ConfigError(f"ema_decay={decay}: expected a number in [0, 1), or null for none")
