"""What an arm does with real images, synthetic ones and those that are evaluated."""

from omegaconf import DictConfig

from frerec.errors import ConfigError

NONE, RAW, CALIBRATED, WITHHELD = "none", "raw", "calibrated", "withheld"
TREATMENTS = {
    "real": (RAW, CALIBRATED),
    "synthetic": (NONE, RAW, CALIBRATED, WITHHELD),
    "evaluation": (RAW, CALIBRATED),
}


def check_arm(arm: DictConfig) -> None:
    """Refuse an arm whose treatments are unknown.

    Raises:
        ConfigError: Names the key and its values.
    """
    for key, allowed in TREATMENTS.items():
        if arm.get(key) not in allowed:
            raise ConfigError(f"arm.{key}={arm.get(key)}: expected one of {', '.join(allowed)}")


def has_samples(arm: DictConfig) -> bool:
    """Whether the classifier trains on synthetic images."""
    return arm.synthetic in (RAW, CALIBRATED)


def has_withheld(arm: DictConfig) -> bool:
    """Whether withheld real images stand in the place of the synthetic ones: the ceiling."""
    return bool(arm.synthetic == WITHHELD)


def calibrates(arm: DictConfig) -> bool:
    """Whether any of its images goes through the calibrator."""
    return CALIBRATED in (arm.real, arm.synthetic, arm.evaluation)
