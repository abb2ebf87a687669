"""The noise process of a diffusion model: its formulas on tensors, without a network.

x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps (Ho et al., NeurIPS 2020, eq. 4), where a_t, alpha-bar in
the paper, falls from nearly 1 to nearly 0. Images are in [-1, 1] here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from monai.networks.schedulers.ddpm import DDPMScheduler
from torch import Tensor

from frerec.errors import ConfigError

TIMESTEPS = 1000  # Ho et al., 2020; the linear schedules end in noise for about this number only
SCHEDULES = {"linear": "linear_beta", "scaled_linear": "scaled_linear_beta", "cosine": "cosine"}
PREDICTIONS = ("epsilon", "v_prediction")
SPACINGS = {"even": 1, "quadratic": 2}


class NoiseProcess:
    """Noising, the network's target, and the deterministic way back, for 1000 time steps.

    Schedule and noising are those of MONAI's ``DDPMScheduler``. The way back is our own, because
    MONAI's ``DDIMScheduler`` (1.6) steps by ``1000 // steps`` between times that it spaces by
    ``999 / (steps - 1)``: the network is told another noise level than the image has. Of an exact
    Gaussian of mean 0.4 and deviation 0.2 it makes 0.39 and 0.23 in 300 steps. It also keeps the
    network's noise where it clips the image, so that they no longer add up to x_t.

    Args:
        schedule: "linear" (Ho et al., 2020), "scaled_linear" (linear in sqrt(beta), Rombach et
            al., 2022, with MONAI's ends) or "cosine" (Nichol and Dhariwal, ICML 2021). Of the
            image 0.6, 2.8 and 0.005 % are left at the noisiest step.
        prediction: What the network tells of x_t: "epsilon", the noise, or "v_prediction",
            v = sqrt(a_t) eps - sqrt(1 - a_t) x_0 (Salimans and Ho, ICLR 2022). The noise tells
            next to nothing of the image at the noisiest step of "cosine": take v there.

    Raises:
        ConfigError: If either is unknown.
    """

    def __init__(self, *, schedule: str, prediction: str) -> None:
        if schedule not in SCHEDULES:
            raise ConfigError(
                f"generator noise_schedule={schedule}: expected one of {', '.join(SCHEDULES)}"
            )
        if prediction not in PREDICTIONS:
            raise ConfigError(
                f"generator prediction={prediction}: expected one of {', '.join(PREDICTIONS)}"
            )
        self.prediction = prediction
        self.scheduler = DDPMScheduler(TIMESTEPS, SCHEDULES[schedule])

    def levels(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(a_t) and sqrt(1 - a_t) of times int64 [n], each float32 [n, 1, 1, 1]."""
        a = self.scheduler.alphas_cumprod.to(times.device)[times].float()[:, None, None, None]
        return a.sqrt(), (1.0 - a).sqrt()

    def noised(self, images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """x_t of images x_0 and noise float32 [n, C, H, W] at times int64 [n]."""
        noisy: Tensor = self.scheduler.add_noise(images, noise, times)
        return noisy

    def target(self, images: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the network has to tell of x_t: the noise, or v; float32 [n, C, H, W]."""
        if self.prediction == "epsilon":
            return noise
        velocity: Tensor = self.scheduler.get_velocity(images, noise, times)
        return velocity

    def split(self, output: Tensor, noisy: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """The images x_0 and the noise, [n, C, H, W] each, that an output tells of x_t."""
        signal, sigma = self.levels(times)
        if self.prediction == "epsilon":
            return (noisy - sigma * output) / signal, output
        return signal * noisy - sigma * output, sigma * noisy + signal * output

    def weights(self, times: Tensor, gamma: float | None) -> Tensor:
        """Weight of each image's squared error, float32 [n]: min-SNR-gamma, or 1 without gamma.

        Hang et al. (ICCV 2023), section 3.4: min(SNR, gamma) on the error of x_0, with
        SNR = a_t / (1 - a_t); so min(SNR, gamma) / SNR on that of the noise and
        min(SNR, gamma) / (SNR + 1) on that of v.
        """
        if gamma is None:
            return torch.ones_like(times, dtype=torch.float32)
        signal, sigma = self.levels(times)
        snr = (signal / sigma).square().flatten()
        return snr.clamp(max=gamma) / (snr if self.prediction == "epsilon" else snr + 1.0)

    def reverse(
        self,
        predict: Callable[[Tensor, Tensor], Tensor],
        noise: Tensor,
        *,
        steps: int,
        spacing: str = "even",
        clip: bool = True,
    ) -> Tensor:
        """From noise to images by DDIM with eta = 0 (Song et al., ICLR 2021, eq. 12).

        Args:
            predict: From x_t [n, C, H, W] and times int64 [n] to the network's output.
            noise: x_T [n, C, H, W] of N(0, 1).
            steps: Evaluations of ``predict``.
            spacing: See :func:`sampling_times`.
            clip: Hold each estimate of x_0 in [-1, 1].

        Returns:
            [n, C, H, W]: the last estimate of x_0.
        """
        noisy, times = noise, sampling_times(steps, spacing)
        for now, then in zip(times, [*times[1:], None], strict=True):
            at = torch.full((len(noise),), now, device=noise.device)
            images, residue = self.split(predict(noisy, at), noisy, at)
            if clip:
                signal, sigma = self.levels(at)
                images = images.clamp(-1.0, 1.0)
                residue = (noisy - signal * images) / sigma
            if then is None:
                return images
            signal, sigma = self.levels(torch.full_like(at, then))
            noisy = signal * images + sigma * residue
        return noisy


def sampling_times(steps: int, spacing: str = "even") -> list[int]:
    """The times of a sampling, falling, the noisiest first.

    That one must be there: pure noise is what the sampling begins with, and without it few-step
    samples keep a wrong mean (Lin et al., WACV 2024, "trailing" spacing). "quadratic" (Song et
    al., 2021, appendix D.2) puts more of them where there is little noise. That matters to
    spectra: the last step hands out the mean of what the image may be, which has little of the
    fine structure that is weaker than the noise there. With the exact score of a Gaussian, 50
    steps of the cosine schedule leave 0.42 of a deviation of 0.02 by even spacing and 0.89 by
    quadratic, but 0.93 and 0.97 of a deviation of 0.2.

    Args:
        steps: How many, 1 to 1000; quadratic times that coincide are one.
        spacing: "even" or "quadratic".

    Raises:
        ConfigError: If the spacing is unknown.
    """
    if spacing not in SPACINGS:
        raise ConfigError(
            f"generator sampling_spacing={spacing}: expected one of {', '.join(SPACINGS)}"
        )
    power = SPACINGS[spacing]
    times = {max(round(TIMESTEPS * ((steps - i) / steps) ** power) - 1, 0) for i in range(steps)}
    return sorted(times, reverse=True)
