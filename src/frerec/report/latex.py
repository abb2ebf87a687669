"""A table as LaTeX: booktabs and the kernel alone, every text escaped."""

import re
import unicodedata
from collections.abc import Sequence

from frerec.report.tabular import Row, Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "`": r"{`}",
    "\u2212": r"$-$",
    "\u2013": r"\textendash{}",
    "\u2014": r"\textemdash{}",
    "\u2020": r"$\dagger$",
    "\u2021": r"$\ddagger$",
    "\u00a0": "~",
    "\u202f": r"\,",
    "\u00d7": r"$\times$",
    "\u00b1": r"$\pm$",
    "\u00b5": r"$\mu$",
    "\u03c1": r"$\rho$",
    "\u03c3": r"$\sigma$",
    "\u2265": r"$\ge$",
    "\u2264": r"$\le$",
    "\u2026": r"\ldots{}",
}
# Combining marks that LaTeX's own encoding can set over a letter.
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip

# Widths in points: a digit in each size of an article of 10 pt, and its page.
_SIZES = {"small": 4.6, "footnotesize": 4.25, "scriptsize": 3.98, "tiny": 3.4}
_PORTRAIT, _LANDSCAPE = 345.0, 526.0
_GAP = 6.0  # between two columns
_PARAGRAPH = 30  # characters: a column of words that is longer gets broken lines
_HEADING = 12  # characters a line of a heading
_NARROW, _WIDE = " .,:;|[]()'!ijlt\u00a0\u202f", "mw%\u2212\u00b1\u00d7<>"


def latex(table: Table) -> str:
    r"""The table as a LaTeX `table`, to be read by ``\input``.

    It needs ``\usepackage{booktabs}`` and nothing else. Its size of type is the largest in which
    it is estimated to fit the text of an article of 10 pt; a comment in the first line says where
    only a landscape page is wide enough.

    Returns:
        Pure ASCII. A letter that LaTeX's own fonts do not have stands as its code point, such as
        U+4E2D.
    """
    lead = _alignment(table)
    size, landscape = _size(table)
    spec = "@{}" + "".join(lead) + "@{}"
    head = " & ".join(
        _heading(title, left=i in table.wordy) for i, title in enumerate(table.columns)
    )
    lines = [
        r"% \usepackage{booktabs}" + ("; set it on a landscape page" if landscape else ""),
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\{size}",
        rf"\setlength{{\tabcolsep}}{{{_GAP / 2:g}pt}}",
        rf"\caption{{{latex_escape(f'{table.title}. {table.caption}')}}}",
        rf"\label{{tab:frerec-{table.key.replace('_', '-')}}}",
        rf"\begin{{tabular}}{{{spec}}}",
        r"\toprule",
        rf"{head} \tabularnewline",
        *_body(table),
        r"\bottomrule",
        r"\end{tabular}",
        *_notes(table),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands, on one line, in ASCII."""
    line = re.sub(r"[\x00-\x20\x7f]+", " ", text).strip(" ")
    escaped = "".join(map(_sign, line))
    for ligature in ("--", "''"):
        escaped = re.sub(f"(?<={ligature[0]})(?={ligature[0]})", "{}", escaped)
    # At the start of a row or line LaTeX would take these for an argument of the line break.
    return f"{{}}{escaped}" if escaped[:1] in ("[", "*") else escaped


def _sign(sign: str) -> str:
    if sign in _SPECIAL:
        return _SPECIAL[sign]
    if sign.isascii():
        return sign
    letter, *marks = list(unicodedata.normalize("NFD", sign))
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in _ACCENTS:
        body = rf"\{letter}" if letter in "ij" and marks[0] != "\u0327" else letter
        return rf"\{_ACCENTS[marks[0]]}{{{body}}}"
    return rf"\texttt{{U+{ord(sign):04X}}}"


def _body(table: Table) -> list[str]:
    lines = []
    for group, rows in table.groups():
        lines.append(r"\midrule")
        if group:
            title = rf"\textit{{{latex_escape(group)}}}"
            lines.append(
                rf"\multicolumn{{{len(table.columns)}}}{{@{{}}l}}{{{title}}} \tabularnewline"
            )
        lines += [_line(row) for row in rows]
    return lines or [r"\midrule", r"Nothing to show yet. \tabularnewline"]


def _line(row: Row) -> str:
    texts = [latex_escape(cell) for cell in row.cells]
    texts = [rf"\textbf{{{text}}}" if i in row.strong else text for i, text in enumerate(texts)]
    return " & ".join(texts) + r" \tabularnewline"


def _heading(title: str, *, left: bool) -> str:
    lines = [latex_escape(line) for line in _heading_lines(title)]
    if len(lines) < 2:
        return "".join(lines)
    stacked = r"\\".join(lines)
    return rf"\shortstack[{'l' if left else 'r'}]{{{stacked}}}"


def _heading_lines(title: str) -> list[str]:
    """The title on as many lines as it needs."""
    lines: list[str] = []
    for word in title.split():
        if lines and len(lines[-1]) + 1 + len(word) <= _HEADING:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _notes(table: Table) -> list[str]:
    texts = [f"WARNING: {text}" for text in table.warnings] + list(table.notes)
    if not texts:
        return []
    body = r"\par ".join(map(latex_escape, texts))
    return [
        r"\par\smallskip",
        rf"\begin{{minipage}}{{\linewidth}}\scriptsize\raggedright {body}\end{{minipage}}",
    ]


def _widths(table: Table) -> list[float]:
    """The width of the widest line of each column, in digits."""
    return [
        max(
            [_width(line) for line in _heading_lines(title)]
            + [_shown(row.cells[i], table.wordy, i) for row in table.rows]
        )
        for i, title in enumerate(table.columns)
    ]


def _shown(text: str, wordy: Sequence[int], column: int) -> float:
    return min(_width(text), _PARAGRAPH) if column in wordy else _width(text)


def _width(text: str) -> float:
    """Of a text in digits, roughly as in Computer Modern."""
    return sum(0.6 if c in _NARROW else 1.5 if c.isupper() or c in _WIDE else 1.0 for c in text)


def _alignment(table: Table) -> list[str]:
    long = [
        any(len(row.cells[i]) > _PARAGRAPH for row in table.rows) for i in range(len(table.columns))
    ]
    broken = rf"p{{{_PARAGRAPH / 2:g}em}}"
    return [
        (broken if long[i] else "l") if i in table.wordy else "r" for i in range(len(table.columns))
    ]


def _size(table: Table) -> tuple[str, bool]:
    columns = _widths(table)
    gaps = _GAP * (len(columns) - 1)
    for limit, landscape in ((_PORTRAIT, False), (_LANDSCAPE, True)):
        for size, width in _SIZES.items():
            readable = landscape or size != "tiny"
            if readable and sum(columns) * width + gaps <= limit:
                return size, landscape
    return "tiny", True
