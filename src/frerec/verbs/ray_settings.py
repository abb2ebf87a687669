"""The keys below ``ray`` of `frerec calibrate`."""

from omegaconf import DictConfig

from frerec.bulk.ray_engine import RaySettings
from frerec.errors import ConfigError


def ray_settings(config: DictConfig) -> RaySettings:
    """The settings from the command line, checked.

    Raises:
        ConfigError: Names the key.
    """
    actors = _number(config, "actors", least=1)
    if actors is not None and actors != int(actors):
        raise ConfigError(f"ray.actors={config.actors}: expected auto or a whole number")
    if config.read_apart not in ("auto", True, False):
        raise ConfigError(f"ray.read_apart={config.read_apart}: expected auto, true or false")
    num_cpus = _number(config, "num_cpus", least=0)
    return RaySettings(
        address=None if config.address is None else str(config.address),
        actors=None if actors is None else int(actors),
        num_gpus=_number(config, "num_gpus", least=0),
        num_cpus=1 if num_cpus is None else num_cpus,
        read_apart=None if config.read_apart == "auto" else config.read_apart,
    )


def _number(config: DictConfig, key: str, *, least: float) -> float | None:
    """A number from text, None for ``auto``."""
    text = str(config[key])
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value >= least or value == float("inf"):
        raise ConfigError(f"ray.{key}={text}: expected auto or a number of at least {least:g}")
    return value
