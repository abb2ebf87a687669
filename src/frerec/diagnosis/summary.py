"""The numbers of a diagnosis, as they are written to ``diagnosis.json``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from frerec.calibration.reconstruction import HIGH_BAND
from frerec.diagnosis.comparing import detectors, distances, halves
from frerec.diagnosis.measuring import Spectra
from frerec.diagnosis.sets import Measured
from frerec.evaluation.bootstrap import DRAWS, group_weights

BAND = (5, 95)  # percentiles over the images, of the bands around the radial curves
SERIES = ("real", "synthetic", "real_calibrated", "synthetic_calibrated")
# Which sets each comparison compares: versions of the real and of the synthetic images.
COMPARISONS = {
    "before": ("real", "synthetic"),
    "after_against_raw_real": ("real", "synthetic_calibrated"),
    "after_against_calibrated_real": ("real_calibrated", "synthetic_calibrated"),
}


def series(real: Measured, synthetic: Measured) -> dict[str, Spectra]:
    """The spectra by name of the series; two without a calibrator, four with one."""
    found = {"real": real.raw, "synthetic": synthetic.raw}
    if real.calibrated is not None and synthetic.calibrated is not None:
        found |= {"real_calibrated": real.calibrated, "synthetic_calibrated": synthetic.calibrated}
    return found


def summarise(
    real: Measured, synthetic: Measured, groups: NDArray[np.int64], *, seed: int = 0
) -> dict[str, Any]:
    """All numbers that the images themselves give.

    Args:
        real: N images.
        synthetic: M images.
        groups: ``[N + M]``, images that stay together.
        seed: of the bootstrap.

    Returns:
        ``comparisons``: see :data:`COMPARISONS`; each has the distances of
        :func:`frerec.diagnosis.comparing.distances` and ``detectors``, which are ``trained_anew``
        (on the images of this comparison) and, after a calibration, ``trained_before`` (on the
        uncalibrated images of both sets; scoring this comparison's).
        ``real_halves``: see :func:`frerec.diagnosis.comparing.halves`.
        ``fidelity``: PSNR and SSIM of calibrated against uncalibrated images, None without a
        calibrator. ``radial``: the curves, in dB. ``shared_images``: images that are in both sets.
    """
    spectra = series(real, synthetic)
    labels = np.repeat([0, 1], [len(real), len(synthetic)])
    weights = group_weights(groups, labels, seed=seed)
    pairs = {
        name: (spectra[a], spectra[b])
        for name, (a, b) in COMPARISONS.items()
        if a in spectra and b in spectra
    }
    before = detectors(pairs["before"], pairs, groups, weights)
    comparisons: dict[str, Any] = {}
    for name, pair in pairs.items():
        if name == "before":
            trained: dict[str, Any] = {"trained_anew": before[name]}
        else:
            anew = detectors(pair, {name: pair}, groups, weights)[name]
            trained = {"trained_anew": anew, "trained_before": before[name]}
        comparisons[name] = {
            "real": COMPARISONS[name][0],
            "synthetic": COMPARISONS[name][1],
            **distances(*pair, weights),
            "detectors": trained,
        }
    fidelity = None
    if real.calibrated is not None:
        fidelity = {"real": _fidelity(real), "synthetic": _fidelity(synthetic)}
    return {
        "high_band": {"minimum_rho": HIGH_BAND, "rings": int((real.raw.rho >= HIGH_BAND).sum())},
        "bootstrap": {
            "draws": DRAWS,
            "level": 0.95,
            "seed": seed,
            "intervals": weights is not None,
        },
        "comparisons": comparisons,
        "real_halves": halves(real.raw, groups[: len(real)], seed=seed),
        "fidelity": fidelity,
        "shared_images": int(np.isin(synthetic.keys, real.keys).sum()),
        "radial": {
            "rho": real.raw.rho.tolist(),
            "unit": "dB",
            "band_percentiles": list(BAND),
            **{name: _curve(of_set) for name, of_set in spectra.items()},
        },
    }


def _curve(spectra: Spectra) -> dict[str, list[float]]:
    low, high = np.percentile(spectra.curves, BAND, axis=0)
    mean = spectra.curves.mean(axis=0)
    return {"mean": mean.tolist(), "low": low.tolist(), "high": high.tolist()}


def _fidelity(measured: Measured) -> dict[str, Any]:
    """Mean and 5th and 95th percentile over the images."""
    found = {}
    for name, values in (("psnr_db", measured.psnr), ("ssim", measured.ssim)):
        assert values is not None
        low, high = np.percentile(values, BAND)
        found[name] = {"mean": float(values.mean()), "p5": float(low), "p95": float(high)}
    return found
