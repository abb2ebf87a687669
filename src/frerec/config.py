"""The Hydra tree: where it lies, how a verb's configuration is composed, errors in one line."""

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from frerec.errors import ConfigError, FrerecError
from frerec.value_types import check_types


def config_directory() -> Path:
    """The tree inside the installed package, or the checkout's when installed in editable mode."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "configs", package.parents[1] / "configs"):
        if (candidate / "benchmark.yaml").is_file():
            return candidate
    raise ConfigError("the configs folder is missing from this installation; install frerec again")


def compose_config(name: str, overrides: Sequence[str] = ()) -> DictConfig:
    """Compose ``configs/NAME.yaml`` with Hydra overrides; struct mode is on.

    Raises:
        ConfigError: For a malformed override, an unknown key or an unknown option, with the
            nearest key or the available options.
    """
    directory = config_directory()
    overrides = [quote_override(override) for override in overrides]
    choices, values = _sorted(overrides, directory)
    try:
        chosen = _chosen(directory, name, choices)
        if not values:
            return copy.deepcopy(chosen)
        config = _composed(directory, name, overrides)
        check_types(config, chosen, [_key(o) for o in values if o[0] not in "+~"])
        return config
    except ValueError as error:  # Hydra's own, for a group that is set to null
        nothing = next((o for o in choices if o.endswith("=null")), "")
        if nothing:
            reason = f"{nothing}: a group takes one of its options; leave it out"
        else:
            place = next((o for o in values if not _set(copy.deepcopy(chosen), [o])), "")
            if not place:
                raise
            reason = (
                f"{place}: there is no such key, its parent is a list: give the list as a whole"
            )
        raise ConfigError(reason) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error, name, overrides, directory)) from error


def compose_each(
    name: str, overrides: Sequence[str], further: Iterable[Sequence[str]]
) -> Iterator[DictConfig]:
    """``compose_config(name, [*overrides, *each])`` of each of ``further``, for large grids.

    Hydra, which takes about 0.3 s, composes every choice of options once; values are set as it
    sets them.

    Raises:
        ConfigError: As :func:`compose_config`, at the first of ``further`` that has the mistake.
    """
    directory = config_directory()
    bases: dict[tuple[str, ...], DictConfig] = {}
    for each in further:
        quoted = [quote_override(override) for override in each]
        choices, values = _sorted(quoted, directory)
        if choices not in bases:
            bases[choices] = compose_config(name, [*overrides, *choices])
        config = copy.deepcopy(bases[choices])
        if _set(config, values):
            every, _ = _sorted([*map(quote_override, overrides), *choices], directory)
            check_types(config, _chosen(directory, name, every), map(_key, values))
            yield config
        else:  # by itself: it may be done, and a mistake gets its words
            yield compose_config(name, [*overrides, *quoted])


def _set(config: DictConfig, values: Iterable[str]) -> bool:
    """Set values that are there already; False where one is not, or is added or taken away."""
    try:
        for override in values:
            if override[0] in "+~":
                return False
            parsed = OverridesParser.create().parse_override(override)
            OmegaConf.update(config, parsed.key_or_group, parsed.value(), merge=True)
    except (OmegaConfBaseException, ValueError):  # ValueError: of a list, an entry by name
        return False
    return True


def _composed(directory: Path, name: str, overrides: Sequence[str]) -> DictConfig:
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(directory)):
        return compose(config_name=name, overrides=list(overrides))


def _chosen(directory: Path, name: str, choices: tuple[str, ...]) -> DictConfig:
    """What the options hold by themselves; shared, so nobody may change it."""
    files = [file.stat().st_mtime_ns for file in sorted(directory.rglob("*.yaml"))]
    return _cached(directory, tuple(files), name, choices)


@lru_cache(maxsize=256)
def _cached(
    directory: Path, _files: tuple[int, ...], name: str, choices: tuple[str, ...]
) -> DictConfig:
    return _composed(directory, name, choices)


def _sorted(overrides: Sequence[str], directory: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The overrides that take an option of a group, and those that set a value."""
    choices = tuple(o for o in overrides if _chooses(o, directory))
    return choices, tuple(o for o in overrides if o not in choices)


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _chooses(override: str, directory: Path) -> bool:
    """Whether an override takes an option of a config group."""
    return (directory / _key(override).partition("@")[0]).is_dir()


def quote_override(override: str) -> str:
    """Quote the value where Hydra's grammar would stumble over it (spaces, brackets in a path).

    Raises:
        ConfigError: If the text is no ``key=value`` at all, or a function of Hydra's sweep grammar
            that Hydra refuses.
    """
    parser = OverridesParser.create()
    try:
        parser.parse_override(override)
    except HydraException as error:
        key, equals, value = override.partition("=")
        _check_function(override, value, error)
        quoted = f"{key}='" + value.replace("'", "\\'") + "'"
        if not equals or not re.fullmatch(r"[+~]{0,2}[\w./@]+", key):
            raise ConfigError(f"{override!r}: expected key=value (see `frerec --help`)") from error
        try:
            parser.parse_override(quoted)
        except HydraException:
            raise ConfigError(f"{override!r}: expected key=value; quote the value") from error
        return quoted
    return override


def _check_function(override: str, value: str, error: HydraException) -> None:
    """Refuse a value that is meant as several and that Hydra cannot read: it is no text."""
    function = re.match(r"(choice|range|interval|tag)\(", value.strip())
    if function is None:
        return
    reason = re.sub(
        r"^\w+ while evaluating '.*': (mismatch type argument )?", "", first_line(error)
    )
    if "NoneType" in reason and function[1] == "choice":
        inside = value.strip().removeprefix("choice(").removesuffix(")")
        reason = f"choice() takes no null; write {inside}"
    raise ConfigError(f"{override}: {reason}") from error


def instantiate(config: Any, **kwargs: Any) -> Any:
    """Hydra's instantiate, with the user's own errors passed through unwrapped."""
    try:
        return hydra_instantiate(config, **kwargs)
    except HydraException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, FrerecError):
                raise cause from error
            cause = cause.__cause__ or cause.__context__
        target = config.get("_target_", "?") if hasattr(config, "get") else "?"
        root = error.__cause__ or error
        raise ConfigError(f"{target}: {first_line(root)}") from error
    except MissingMandatoryValue as error:
        raise ConfigError(missing_value_message(error)) from error


def plain(config: Any) -> dict[str, Any]:
    """A configuration node as a resolved dictionary of plain values."""
    resolved: Any = config
    if OmegaConf.is_config(config):
        resolved = OmegaConf.to_container(config, resolve=True)
    return dict(resolved)


def require(config: DictConfig, key: str, meaning: str) -> Any:
    """The value of a mandatory key.

    Raises:
        ConfigError: If it was not given.
    """
    if OmegaConf.is_missing(config, key) or config.get(key) is None:
        raise ConfigError(f"{key} is missing: give {key}=... ({meaning})")
    return config[key]


def check_complete(config: DictConfig) -> None:
    """Refuse a configuration in which a mandatory value was not given.

    Raises:
        ConfigError: Names the first such key.
    """
    # Not OmegaConf.missing_keys: it stumbles over an interpolation to a missing value.
    values: Any = OmegaConf.to_container(config, resolve=False)
    for key, value in flat_items(values):
        if value == "???":
            raise ConfigError(f"{key} is missing: give {key}=...")


def missing_value_message(error: MissingMandatoryValue) -> str:
    """One line for a ``???`` that nobody filled in."""
    key = getattr(error, "full_key", None) or first_line(error)
    return f"{key} is missing: give {key}=..."


def first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def flat_items(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of all keys of nested plain values."""
    for key, value in config.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from flat_items(value, f"{prefix}{key}.")


def _explain(error: Exception, name: str, overrides: Sequence[str], directory: Path) -> str:
    text = str(error)
    if isinstance(error, MissingMandatoryValue):
        return missing_value_message(error)
    unknown = re.search(r"Could not override '([^']+)'", text)
    unknown = unknown or re.search(r"Key '([^']+)' is not in struct", text)
    if unknown:
        key = unknown.group(1)
        full = re.search(r"full_key: ([\w.]+)", text)
        key = full.group(1) if full and full.group(1).endswith(key) else key
        if key.startswith("grid."):
            return f"{key}: no such axis; give a new one as 'grid={{{key[5:]}:[a,b]}}'"
        return f"{key}: no such key{_nearest(key, _known_keys(name, overrides, key))}"
    group = re.search(r"Could not find '([^']+)'", text)
    if group:
        folder, _, option = group.group(1).rpartition("/")
        options = sorted(
            str(path.relative_to(directory / folder).with_suffix(""))
            for path in (directory / folder).rglob("*.yaml")
            if not path.name.startswith("_")
        )
        if folder and options:
            return f"{folder}={option}: no such option; available: {', '.join(options)}"
    merging = re.search(r"Error merging override [+~]*([\w.]+)=(.*)", text)
    if merging:
        key, value = merging.groups()
        kind = "a mapping, as {a:b}" if value.startswith("[") else "a list, as [a,b]"
        return f"{key}={value}: expected {kind}"
    wrong_group = re.search(r"Could not override '([^']+)'\.|Key '([^']+)' not found", text)
    if wrong_group:
        return first_line(error)
    return " ".join(line.strip() for line in text.splitlines()[:2])


def _known_keys(name: str, overrides: Sequence[str], wrong: str) -> list[str]:
    """All keys that the configuration has without the override that failed."""
    kept = [o for o in overrides if o.lstrip("+~").partition("=")[0] != wrong]
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(config_directory())):
            composed: Any = compose(config_name=name, overrides=kept)
            keys: Any = OmegaConf.to_container(composed, resolve=False)
            return [key for key, _ in flat_items(keys)]
    except (HydraException, OmegaConfBaseException):
        return []


def _nearest(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not close:
        last = key.rpartition(".")[2]
        close = [k for k in known if k.rpartition(".")[2] == last][:1]
    return f"; did you mean {close[0]}?" if close else "; `frerec VERB --cfg` lists the keys"
