"""The diagnosis in plain words; every figure comes from its numbers."""

from collections.abc import Mapping
from typing import Any

from frerec.report.tabular import EMPTY, NO_BREAK, fixed, signed

CALIBRATED_REAL = "calibrated real images"
_RIVALS = {
    "before": ("synthetic images", "real ones"),
    "after_against_raw_real": ("calibrated synthetic images", "raw real ones"),
    "after_against_calibrated_real": ("calibrated synthetic images", CALIBRATED_REAL),
}
TITLES = {
    "before": "before: synthetic against real",
    "after_against_raw_real": "after: calibrated synthetic against raw real",
    "after_against_calibrated_real": "after: calibrated synthetic against calibrated real",
}
DETECTOR_TITLES = {"logistic": "linear", "rbf_svm": "RBF-SVM"}


def verdict(numbers: Mapping[str, Any]) -> list[str]:
    """Sentences, the most important first; `numbers` are those of `diagnosis.json`."""
    comparisons = numbers["comparisons"]
    before = comparisons["before"]
    border = numbers["high_band"]["minimum_rho"]
    sentences = [
        f"High band (ρ{NO_BREAK}≥{NO_BREAK}{border}): {_power('before', before)} "
        f"{_distance(before, numbers['real_halves'])}",
        _detectors("before", before),
    ]
    for name in ("after_against_raw_real", "after_against_calibrated_real"):
        if name in comparisons:
            found = comparisons[name]
            sentence = (
                f"After the model: {_power(name, found)} The log-spectral distance in the high "
                f"band is {figure_text(found['lsd_high_db'], 2)} dB, before it was "
                f"{fixed(before['lsd_high_db']['value'], 2)} dB. {_detectors(name, found)}"
            )
            sentences.append(sentence.rstrip())
    if numbers["fidelity"] is not None:
        parts = [
            f"{name} images have {fixed(of_set['psnr_db']['mean'], 2)} dB PSNR and "
            f"{fixed(of_set['ssim']['mean'], 3)} SSIM"
            for name, of_set in numbers["fidelity"].items()
        ]
        sentences.append(f"Against themselves before the model, {' and '.join(parts)}.")
    return sentences


def figure_text(figure: Mapping[str, Any], digits: int, *, difference: bool = False) -> str:
    """Value [low, high]; without the brackets where there is no interval."""
    form = signed if difference else fixed
    if figure["value"] is None:
        return EMPTY
    text = form(figure["value"], digits)
    if figure["low"] is None:
        return text
    return f"{text} [{form(figure['low'], digits)}, {form(figure['high'], digits)}]"


def _power(name: str, found: Mapping[str, Any]) -> str:
    """Which side has less power, as far as the interval allows to say so."""
    ours, theirs = _RIVALS[name]
    figure = found["power_high_db"]
    value, low, high = figure["value"], figure["low"], figure["high"]
    if low is not None and low <= 0 <= high:
        return (
            f"{ours} and {theirs} do not measurably differ in mean power "
            f"({figure_text(figure, 2, difference=True)} dB)."
        )
    bounds = ""
    if low is not None:
        bounds = " [" + ", ".join(fixed(v, 2) for v in sorted((abs(low), abs(high)))) + "]"
    if abs(value) < 0.005:
        return f"{ours} and {theirs} have the same mean power."
    word = "less" if value < 0 else "more"
    return f"{ours} have {fixed(abs(value), 2)} dB{bounds} {word} power than {theirs}."


def _distance(found: Mapping[str, Any], halves: Mapping[str, Any]) -> str:
    text = f"The log-spectral distance there is {figure_text(found['lsd_high_db'], 2)} dB"
    if halves["lsd_high_db"] is None:
        return f"{text}."
    return f"{text}; random halves of the real images differ by {fixed(halves['lsd_high_db'], 2)}."


def _detectors(name: str, found: Mapping[str, Any]) -> str:
    anew = found["detectors"]["trained_anew"]
    reason = anew["logistic"]["reason"]
    if name == "before":
        if reason is not None:
            return f"No detector was trained: {reason}."
        return (
            "A linear detector on the radial spectrum tells them apart with AUC "
            f"{figure_text(anew['logistic'], 3)}, an RBF-SVM with "
            f"{figure_text(anew['rbf_svm'], 3)}; 0.5 would be no better than chance."
        )
    if reason is not None:
        return ""
    old = found["detectors"]["trained_before"]["logistic"]
    text = (
        f"A linear detector trained anew tells them apart with AUC "
        f"{figure_text(anew['logistic'], 3)}, one trained before the calibration with "
        f"{figure_text(old, 3)}"
    )
    if old["high"] is not None and old["high"] < 0.5:
        text += " (below 0.5: it takes the calibrated synthetic images for the more real ones)"
    return f"{text}."
