"""The verdict says what the numbers say, and no more than their intervals allow."""

from typing import Any

from frerec.diagnosis.verdict import figure_text, verdict


def figure(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    return {"value": value, "low": low, "high": high, "reason": None}


def numbers(power: Any, old: Any = None) -> dict[str, Any]:
    def comparison(**trained: Any) -> dict[str, Any]:
        kinds = {way: {"logistic": f, "rbf_svm": f} for way, f in trained.items()}
        lsd = figure(3.25, 3.0, 3.5)
        return {"power_high_db": power, "lsd_db": lsd, "lsd_high_db": lsd, "detectors": kinds}

    found = {"before": comparison(trained_anew=figure(0.9, 0.8, 0.95))}
    if old is not None:
        trained = {"trained_anew": figure(0.7, 0.6, 0.8), "trained_before": old}
        found["after_against_raw_real"] = comparison(**trained)
    return {
        "high_band": {"minimum_rho": 0.5},
        "comparisons": found,
        "real_halves": {"lsd_db": 0.2, "lsd_high_db": 0.3},
        "fidelity": None,
    }


def test_less_and_more_power_are_told_apart() -> None:
    assert "have 2.10 dB [1.90, 2.40] less power" in verdict(numbers(figure(-2.1, -2.4, -1.9)))[0]
    assert "have 2.10 dB [1.90, 2.40] more power" in verdict(numbers(figure(2.1, 1.9, 2.4)))[0]


def test_an_interval_around_zero_is_called_no_measurable_difference() -> None:
    first = verdict(numbers(figure(-0.2, -0.5, 0.1)))[0]
    assert "do not measurably differ in mean power (−0.20 [−0.50, +0.10] dB)" in first
    assert "3.25 [3.00, 3.50] dB" in first


def test_a_missing_detector_is_explained() -> None:
    given = numbers(figure(1.0))
    anew = given["comparisons"]["before"]["detectors"]["trained_anew"]
    anew["logistic"] = {**figure(None), "reason": "3 real images"}
    assert verdict(given)[1] == "No detector was trained: 3 real images."
    assert figure_text(figure(None), 3) == "–"


def test_an_auc_below_one_half_is_explained() -> None:
    fooled = verdict(numbers(figure(1.0), old=figure(0.1, 0.05, 0.2)))[2]
    assert "0.100 [0.050, 0.200] (below 0.5: it takes" in fooled
    assert "below 0.5" not in verdict(numbers(figure(1.0), old=figure(0.45, 0.3, 0.6)))[2]
