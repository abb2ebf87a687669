"""The settings of a user's program: a list of arguments, from the command line too."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frerec.config import compose_config, instantiate, plain
from frerec.errors import ConfigError
from frerec.generators.command import CommandGenerator


def script(folder: Path, text: str, name: str = "sample.py") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return str(folder / name)


def test_the_identity_follows_content_and_not_place(tmp_path):
    def of(command, **settings):
        return CommandGenerator(command=[*command, "{out}"], **settings).identity()

    first = script(tmp_path / "a", "x")
    known = of(["python", first])
    assert known["command"][0] == "python"
    assert first not in known["command"]
    assert of(["python", script(tmp_path / "b", "x", "moved.py")]) == known
    assert of(["python", "sample.py"], cwd=tmp_path / "a") == known
    script(tmp_path / "a", "yy")
    edited = of(["python", first])
    assert edited != known
    script(tmp_path / "a", "x")
    assert of(["python", first]) == known
    option = of(["python", f"--net={first}"])
    assert option["command"][1].startswith("--net=sha256:")
    script(tmp_path / "a", "zz")
    assert of(["python", f"--net={first}"]) != option
    assert of(["python", str(tmp_path / "a")])["command"][1] == str(tmp_path / "a")
    assert of(["x" * 5000])["command"][0] == "x" * 5000
    for changes in ({"output": "x"}, {"labels": "x"}, {"label_map": {0: "ill"}}):
        assert of(["python"], **changes) != of(["python"])
    assert of(["python"], timeout=3) == of(["python"])
    json.dumps(of(["python", 3], label_map={0: "ill", "a": None}))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=8), st.sampled_from(["out", "seed", "sead", "Out", "counts", "x1"]))
def test_placeholders_are_known_or_refused(text, name):
    text = text.replace("{", "").replace("}", "")
    argument = f"{text}{{{name}}}{text}"
    if name in ("out", "seed", "counts"):
        assert CommandGenerator(command=["p", argument, "{out}"]).command[1] == argument
    else:
        with pytest.raises(ConfigError, match=rf"{{{name}}} is no placeholder; known are {{out}}"):
            CommandGenerator(command=["p", argument, "{out}"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"command": "python x.py {out}"}, "expected a list of arguments, which no shell sees"),
        ({"command": []}, """generator.command=[python, sample.py, --out, "{out}\""""),
        ({"command": ["python", None, "{out}"]}, "the argument None is no text"),
        ({"command": ["python", True, "{out}"]}, "put it in quotes"),
        ({"command": ["python", ["a"], "{out}"]}, "is no text"),
        ({"command": ["python", "x.py"]}, "no argument holds {out}"),
        ({"output": "../x"}, "generator.output=../x: expected a path below {out}"),
        ({"output": "/x"}, "generator.output=/x"),
        ({"output": "C:\\x"}, "generator.output"),
        ({"output": ""}, "generator.output"),
        ({"labels": "a/../../x.csv"}, "generator.labels=a/../../x.csv"),
        ({"timeout": 0}, "generator.timeout=0: expected seconds above 0"),
        ({"timeout": float("inf")}, "generator.timeout=inf"),
        ({"timeout": "1h"}, "generator.timeout=1h"),
        ({"timeout": True}, "generator.timeout=True"),
        ({"cwd": "/no/such"}, "generator.cwd=/no/such: no such folder"),
    ],
)
def test_values_out_of_range_are_named(changes, words):
    with pytest.raises(ConfigError) as caught:
        CommandGenerator(**({"command": ["p", "{out}"]} | changes))
    assert words in str(caught.value)


def configured(*overrides: str) -> CommandGenerator:
    node = plain(compose_config("generate", ["out=x", "generator=command", *overrides]).generator)
    left_out = ("name", "training", "checkpoint")
    made: CommandGenerator = instantiate({k: v for k, v in node.items() if k not in left_out})
    return made


def test_the_command_line_of_the_config_s_comment_reaches_the_class_letter_by_letter():
    list_form = 'generator.command=[python, sample.py, --out, "{out}", --seed, "{seed}"]'
    made = configured(list_form, "generator.timeout=90", "generator.label_map={pos:ill,neg:null}")
    assert made.command == ["python", "sample.py", "--out", "{out}", "--seed", "{seed}"]
    assert (made.timeout, made.label_map) == (90, {"pos": "ill", "neg": None})
    nasty = configured('generator.command=[sh, "; rm -rf $(x)", 3, 0.5, "--o={out}"]')
    assert nasty.command == ["sh", "; rm -rf $(x)", "3", "0.5", "--o={out}"]


@pytest.mark.parametrize(
    "command", ["python sample.py", "python sample.py --out {out}", "", "[python, {out}]"]
)
def test_a_shell_line_on_the_command_line_is_refused_with_the_list_form(command):
    with pytest.raises(ConfigError, match=r"generator\.command.*(as \[|list|quotes)"):
        configured(f"generator.command={command}")


def test_without_a_command_the_error_shows_an_example():
    with pytest.raises(ConfigError, match=r"generator\.command is empty: .* sample\.py"):
        configured()
