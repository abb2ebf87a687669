"""LaTeX prints every text as it stands, and the tables keep their shape."""

import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frerec.report.latex import latex, latex_escape
from frerec.report.main_tables import main_table, overview_table
from frerec.report.run import read_run
from frerec.report.tabular import Row, Table

# What the escaped form prints, written down apart from the code: longest first.
PRINTED = {
    r"\textbackslash{}": "\\", r"\textasciicircum{}": "^", r"\textasciitilde{}": "~",
    r"\textendash{}": "–", r"\textemdash{}": "—", r"\ldots{}": "…", "{`}": "`",
    r"\{": "{", r"\}": "}", r"\$": "$", r"\&": "&", r"\#": "#", r"\%": "%", r"\_": "_",
    r"$\dagger$": "†", r"$\ddagger$": "‡", r"$\times$": "×", r"$\pm$": "±", r"$\mu$": "µ",
    r"$\rho$": "ρ", r"$\sigma$": "σ", r"$\ge$": "≥", r"$\le$": "≤", "$<$": "<", "$>$": ">",
    "$|$": "|", "$-$": "−", "~": "\u00a0", r"\,": "\u202f", "{}": "",
}  # fmt: skip
TOKEN = re.compile("|".join(map(re.escape, PRINTED)) + r"|\\texttt\{U\+(?P<code>[0-9A-F]+)\}")
SIGNS = st.one_of(
    st.characters(codec="ascii", exclude_categories=["Cc"]),
    st.sampled_from("–—†‡×±µρσ≥≤−…\u00a0\u202f中🙂ß"),
)


def printed(text):
    """What a reader sees of escaped text without accents."""
    return TOKEN.sub(lambda m: chr(int(m["code"], 16)) if m["code"] else PRINTED[m[0]], text)


@given(st.text(SIGNS))
def test_every_sign_is_printed_as_it_is(text):
    escaped = latex_escape(text)
    assert printed(escaped) == re.sub(" +", " ", text).strip(" ")
    assert escaped.isascii()


@given(st.text())
def test_nothing_that_latex_would_act_on_is_left(text):
    escaped = latex_escape(text)
    plain = re.sub(r"\\texttt\{U\+[0-9A-F]+\}|\\[`'^~=u.\"rHvc]\{\\?[A-Za-z]\}", "", escaped)
    plain = TOKEN.sub("", plain)
    assert not set(plain) & set("\\{}$&#%_^~<>|`")
    assert "--" not in escaped
    assert "''" not in escaped
    assert not escaped.startswith(("[", "*"))
    assert escaped.isascii()
    assert not set(escaped) & {chr(code) for code in range(32)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Müller & Søn", r"M\"{u}ller \& S\texttt{U+00F8}n"),
        ("naïve façade", r"na\"{\i}ve fa\c{c}ade"),
        ("a\n\tb", "a b"),
        ("[0.1, 0.2]", "{}[0.1, 0.2]"),
        ("gda_fda -- x", r"gda\_fda -{}- x"),
    ],
)
def test_letters_and_layout(text, expected):
    assert latex_escape(text) == expected


def made(columns, rows, **options):
    return Table(
        key="a_b", title="T & U", caption="100 % of it", group_title="G", columns=columns,
        rows=rows, frame=pd.DataFrame(), **options,
    )  # fmt: skip


def test_a_table_environment_with_caption_label_and_rules():
    text = latex(
        made(
            ("Arm", "AUC [95 % interval]"),
            (Row("x_1", ("raw", "0.7"), (1,)), Row("x_1", ("gda", "−0.1"))),
            notes=("n_1",),
            warnings=("w",),
        )
    )
    lines = text.splitlines()
    assert lines[0] == r"% \usepackage{booktabs}"
    assert r"\caption{T \& U. 100 \% of it}" in lines
    assert r"\label{tab:frerec-a-b}" in lines
    assert [line for line in lines if line.endswith("rule")] == [
        r"\toprule", r"\midrule", r"\bottomrule",
    ]  # fmt: skip
    assert r"\begin{tabular}{@{}lr@{}}" in lines
    assert r"Arm & \shortstack[r]{AUC [95 \%\\interval]} \tabularnewline" in lines
    assert r"\multicolumn{2}{@{}l}{\textit{x\_1}} \tabularnewline" in lines
    assert r"raw & \textbf{0.7} \tabularnewline" in lines
    assert r"gda & $-$0.1 \tabularnewline" in lines
    assert r"WARNING: w\par n\_1" in text
    assert text.count("{") == text.count("}")


def test_a_wide_table_is_set_smaller_and_asks_for_a_landscape_page():
    narrow = latex(made(("A", "B"), (Row("", ("a", "1")),)))
    wide = latex(made(("A", *("B" * 16)), (Row("", ("a", *["0.123456"] * 16)),)))
    assert r"\small" in narrow.splitlines()
    assert r"\small" not in wide.splitlines()
    assert "landscape" in wide.splitlines()[0]
    sentence = "in words " * 20
    assert "p{15em}" in latex(made(("A", "W"), (Row("", ("a", sentence)),), wordy=(0, 1)))


def test_every_row_of_a_real_table_has_every_column(kept_run):
    run = read_run(kept_run)
    for table in (overview_table(run), main_table(run)):
        body = latex(table).split(r"\midrule")[1:]
        rows = [line for part in body for line in part.splitlines() if " & " in line]
        assert len(rows) == len(table.rows)
        assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(table.columns) - 1}
