"""The command line's manners: help without torch, one-line errors, exit status 2."""

import io
import subprocess
import sys
from pathlib import Path

import pytest

from frerec.cli import VERBS, main


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from frerec.cli import main; main(['--help']);"
        "heavy = {'torch', 'hydra', 'numpy', 'pandas'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for verb in VERBS:
        assert f"\n  {verb}" in done.stdout


def test_every_verb_shows_its_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        assert main([verb, "--cfg"]) == 0
        assert ": " in capsys.readouterr().out
        assert main([verb, "--help"]) == 0
        assert VERBS[verb].example in capsys.readouterr().out


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The error line of a command that has to fail with status 2 and no traceback."""
    assert main(arguments) == 2
    text = capsys.readouterr().err
    lines = [line for line in text.splitlines() if line.startswith("frerec: error: ")]
    assert len(lines) == 1, text
    assert "Traceback" not in text
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bench"], "expected one of demo, benchmark"),
        (["fit", "data.roott=x"], "did you mean data.root"),
        (["fit", "calibrator.shr.ration=0.4", "out=x"], "did you mean calibrator.shr.ratio"),
        (["fit", "data=foldr"], "available: aptos2019, brats"),
        (["benchmark", "classifier=resnet"], "available:"),
        (["benchmark", "arm=best"], "available:"),
        (["benchmark", "experiment=nothing"], "available: cardiomegaly, demo"),
        (["fit", "--force"], "no option --force"),
        (["fit", "data"], "expected key=value"),
        (["fit", "data.root=x"], "out is missing"),
        (["fit", "out=x"], "data.root is missing: give data.root="),
        (["benchmark", "data=csv"], "data.root is missing"),
        (["benchmark", "samples=folder"], "samples.path is missing"),
        (["benchmark", "seed=abc"], "seed=abc"),
        (["benchmark", "published=nonsense"], "brain_tumor"),
        (["benchmark", "paths.store=null"], "expected a value"),
        (["benchmark", "samples=folder", "samples.label_map=abc"], "a mapping"),
        (["fit", "data.root=x", "out=m", "calibrator.shr.clip=inf"], "finite"),
        (["benchmark", "classifier.steps=ten"], "expected a whole number"),
        (["benchmark", "data.image_size=big"], "expected a whole number, or null"),
        (["benchmark", "data.val_fraction=abc"], "expected a number"),
        (["benchmark", "trainer.progress=7"], "expected true or false"),
        (["fit", "data.root=[1]", "out=m"], "expected text"),
        (["fit", "data.root=x", "out=."], "expected a new folder's name"),
        (["calibrate", "model=m", "input=123", "output=o"], "input=123: no such folder"),
        (["calibrate", "model=m", "input=i", "output=o", "batch_size=ten"], "a whole number"),
        (["benchmark", "name=.."], "without slashes"),
        (["calibrate", "input=x", "output=y"], "model is missing"),
        (["report"], "run is missing"),
        (["benchmark", "grid.seed=[]"], "grid.seed is empty"),
        (["benchmark", "grid.seed=[1,1]"], "stands twice"),
        (["benchmark", "name=a/b"], "without slashes"),
        (["benchmark", "arm.real=mended"], "arm.real=mended"),
        (["benchmark", "logger=wandb", "logger.mode=maybe"], "offline, online"),
        (["report", "runs/x", "figures=null"], "figures=null: expected"),
    ],
)
def test_mistakes_get_one_line_with_the_remedy(
    arguments: list[str],
    expected: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expected in error(capsys, *arguments)
    assert not list(tmp_path.iterdir()), "a refused command wrote something"


def test_a_terminal_that_lacks_a_letter_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert main(["benchmark", "--cfg", "name=心胸"]) == 0
    sys.stdout.flush()
    assert "\nname: ??" in f"\n{shown.getvalue().decode('ascii')}"


def test_no_verb_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: frerec VERB" in capsys.readouterr().out


def test_a_path_with_spaces_and_brackets_needs_no_quotes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fit", "data.root=/a folder/[x], (y)", "out=m", "--cfg"]) == 0
    assert "root: /a folder/[x], (y)" in capsys.readouterr().out
