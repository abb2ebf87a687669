"""SHR's variants beside the plain FFT and inverse FFT of the same batch."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from setting import Sizes, chosen_sizes, drawn_images
from torch import Tensor

from frerec.calibration import StatisticalHighFrequencyReplacement
from frerec.calibration.statistics import GRANULARITIES, REPRESENTATIONS

FFT = "FFT and inverse FFT alone"
SHAPES = chosen_sizes().shr


@dataclass(frozen=True)
class Drawn:
    """Name of the group, a batch, real images, SHR fitted on them, and neighbours.

    Any neighbours will do: their sums take the same time.
    """

    group: str
    batch: Tensor
    real: Tensor
    fitted: StatisticalHighFrequencyReplacement
    rows: Tensor

    def variant(self, **arguments: Any) -> StatisticalHighFrequencyReplacement:
        """Another SHR with the same bank."""
        shr = StatisticalHighFrequencyReplacement(neighbours=self.fitted.neighbours, **arguments)
        shr.bank = self.fitted.bank
        return shr.eval()


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: f"{shape[0]}x{shape[1]}")
def drawn(request: pytest.FixtureRequest, sizes: Sizes) -> Drawn:
    """Images of one shape."""
    channels, side = request.param
    images = drawn_images(sizes.shr_bank + sizes.shr_batch, channels=channels, side=side, seed=3)
    real, batch = images[: sizes.shr_bank], images[sizes.shr_bank :]
    shr = StatisticalHighFrequencyReplacement(neighbours=sizes.neighbours).fit(real)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(real), (len(batch), shr.effective_neighbours), generator=generator)
    colour = "grey" if channels == 1 else "colour"
    return Drawn(f"SHR: {side} px {colour}", batch, real, shr, rows)


def test_fft_alone(measure: Any, drawn: Drawn) -> None:
    """The least that any work on a spectrum costs."""
    batch, size = drawn.batch, drawn.batch.shape[-2:]

    def there_and_back() -> Tensor:
        spectrum = torch.fft.rfft2(batch, norm="ortho")
        return torch.fft.irfft2(spectrum, s=size, norm="ortho")

    measure(there_and_back, group=drawn.group, name=FFT, per=len(batch), unit="ms an image")


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_replacement(
    measure: Any,
    drawn: Drawn,
    granularity: Any,
    representation: Any,
) -> None:
    """Replacement with given neighbours, noise included; the search is measured on its own."""
    shr = drawn.variant(granularity=granularity, representation=representation)
    measure(
        lambda: shr.replace(drawn.batch, drawn.rows),
        group=drawn.group,
        name=f"{granularity}, {representation}",
        per=len(drawn.batch),
        unit="ms an image",
        reference=FFT,
        neighbours=drawn.rows.shape[1],
    )


@pytest.mark.parametrize("neighbours", ["all", "one"])
def test_neighbours_statistics(measure: Any, drawn: Drawn, neighbours: str) -> None:
    """The default with K neighbours and with one: the difference is what K neighbours cost.

    The mean in place of a draw, so that the noise does not drown it.
    """
    shr = drawn.variant(sampling="mean")
    rows = drawn.rows if neighbours == "all" else drawn.rows[:, :1]
    k = "K neighbours" if neighbours == "all" else "one neighbour"
    measure(
        lambda: shr.replace(drawn.batch, rows),
        group=drawn.group,
        name=f"default without noise, {k}",
        per=len(drawn.batch),
        unit="ms an image",
        reference=FFT,
        neighbours=rows.shape[1],
    )


def test_spectra_of_the_bank(measure: Any, sizes: Sizes, drawn: Drawn) -> None:
    """Fit and first use: what is computed once, for each real image."""

    def fit_and_use() -> None:
        shr = StatisticalHighFrequencyReplacement(neighbours=sizes.neighbours).fit(drawn.real)
        shr.replace(drawn.batch[:1], drawn.rows[:1, :1])

    measure(
        fit_and_use,
        group=drawn.group,
        name="fit and the bank's spectra, once",
        per=len(drawn.real),
        unit="ms a real image",
        rounds=min(2, sizes.rounds),
        warmup=0,
    )
