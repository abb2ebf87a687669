"""``-m``: Hydra's own grid as axes of one comparison, or as one job a combination."""

import pytest

from frerec.benchmark.plan import expand
from frerec.cli import main
from frerec.errors import ConfigError
from frerec.sweep.multirun import as_axes, jobs, run_jobs


def test_values_become_axes_of_one_comparison() -> None:
    given = ["calibrator.shr.ratio=0.3,0.5", "seed=range(0,2)", "arm=choice(frerec,shr)"]
    _, cells = expand("benchmark", as_axes("benchmark", given))
    found = {(c.config.calibrator.shr.ratio, c.config.seed, c.config.arm.name) for c in cells}
    assert found == {(r, s, a) for r in (0.3, 0.5) for s in (0, 1) for a in ("frerec", "shr")}
    assert len(cells) == 8


@pytest.mark.parametrize(
    "key",
    ["from", "name", "paths.store", "logger", "trainer.progress", "report.figures", "showcase",
     "executor", "+from"],
)  # fmt: skip
def test_what_shapes_no_result_is_no_axis(key: str) -> None:
    bare = key.lstrip("+")
    with pytest.raises(ConfigError, match=f"^{bare}: no axis of a comparison"):
        as_axes("benchmark", ["arm=frerec", f"{key}=a,b"])
    with pytest.raises(ConfigError, match=f"^{bare}: no axis of a comparison"):
        expand("benchmark", ["arm=frerec", f"grid={{{bare}:[a,b]}}"])


def test_saved_cells_are_given_one_at_a_time() -> None:
    with pytest.raises(ConfigError, match="from: given twice"):
        expand("benchmark", ["from=a", "from=b", "name=x"])


def test_a_grid_too_large_to_list_and_a_step_of_nothing_are_refused() -> None:
    for text, expected in (
        ("range(1,1e9)", "999999999 values, at most 10000"),
        ("range(1,5,step=0)", "a step other than 0"),
        ("range(0.1,0.5,step=0)", "a step other than 0"),
        ("range(0,inf)", "finite numbers"),
    ):
        with pytest.raises(ConfigError, match=expected):
            as_axes("benchmark", [f"seed={text}"])
    with pytest.raises(ConfigError, match="1000000 combinations, at most 10000"):
        jobs("fit", ["data.root=x", "calibrator.shr.ratio=range(1000)", "out=range(1000)"])


def test_other_verbs_get_one_job_a_combination_each_with_a_place_of_its_own() -> None:
    given = ["data.root=x", "calibrator.shr.ratio=0.3,0.5", "out=m${calibrator.shr.ratio}"]
    found = jobs("fit", given)
    assert [job[1] for job in found] == ["calibrator.shr.ratio=0.3", "calibrator.shr.ratio=0.5"]
    with pytest.raises(ConfigError, match="jobs 1 and 2 would write to one place"):
        jobs("fit", ["data.root=x", "calibrator.shr.ratio=0.3,0.5", "out=m"])
    with pytest.raises(ConfigError, match="an interval"):
        jobs("fit", ["data.root=x", "calibrator.shr.ratio=interval(0,1)", "out=m"])


def test_a_failed_job_does_not_stop_the_others() -> None:
    ran: list[str] = []

    def verb(_: str, overrides: object) -> int:
        ran.append(list(overrides)[-1])  # type: ignore[call-overload]
        if ran[-1] == "out=a":
            raise ConfigError("broken")
        return 0

    assert run_jobs(verb, "fit", ["data.root=x", "out=a,b"]) == 2
    assert ran == ["out=a", "out=b"]


def test_a_sweep_takes_no_grid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sweep", "-m", "sweep=shr"]) == 2
    assert "leave -m out" in capsys.readouterr().err
