"""Every option of every config group composes, and every target exists."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from frerec.config import compose_config, config_directory

GROUPS = (
    "data", "samples", "generator", "features", "calibrator", "arm", "classifier", "logger",
    "experiment",
)  # fmt: skip


def options() -> list[str]:
    found = []
    for group in GROUPS:
        for path in sorted((config_directory() / group).glob("*.yaml")):
            if not path.name.startswith("_"):  # what options share
                found.append(f"{group}={path.stem}")
    return found


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)


@pytest.mark.parametrize("option", options())
def test_an_option_composes_and_its_targets_can_be_imported(option: str) -> None:
    config = OmegaConf.to_container(compose_config("benchmark", [option]), resolve=False)
    found = list(targets(config))
    assert found
    for target in found:
        assert callable(get_object(target))


@pytest.mark.parametrize("path", sorted((config_directory() / "experiment").rglob("*.yaml")))
def test_an_experiment_opens_with_what_it_shows_its_command_cost_and_expectation(
    path: Path,
) -> None:
    lines = path.read_text().splitlines()
    assert lines[0] == "# @package _global_"
    for line, word in zip(lines[1:], ("Shows", "Command", "Cost", "Expected"), strict=False):
        assert line.startswith(f"# {word}: "), f"{path.name}: expected a line '# {word}: ...'"


@pytest.mark.parametrize(("arm", "stages"), [("shr", ["shr"]), ("rhm", ["rhm"])])
def test_an_ablation_applies_its_stage_and_keeps_the_fit(arm: str, stages: list[str]) -> None:
    config, full = (compose_config("benchmark", [f"arm={name}"]) for name in (arm, "frerec"))
    assert config.calibrator.stages == stages
    assert config.calibrator.shr == full.calibrator.shr
    assert config.calibrator.rhm == full.calibrator.rhm
