"""Pages for the tests: of made-up runs, with stand-ins for the figures, which take long to draw."""

import json
from html.parser import HTMLParser
from pathlib import Path

from frerec.report.figures import FigureFiles
from frerec.report.html import render
from frerec.report.run import read_run
from frerec.report.tables import all_tables

VOID = {"meta", "img", "source", "br", "link", "hr", "input"}
_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 20"><rect width="60" height="20" '
    'fill="{}"/></svg>'
)

# What a screen reader would stumble over, as a list; run in the page.
FAULTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const faults = [];
  all("img").forEach((e) => { if (!e.alt) faults.push("alt"); });
  all("th").forEach((e) => { if (!e.scope) faults.push("scope " + e.textContent); });
  all("input, select").forEach((e) => {
    if (!e.labels.length) faults.push("label " + e.id);
  });
  all("button, a, summary").forEach((e) => {
    if (!e.textContent.trim()) faults.push("name " + e.outerHTML);
  });
  all("fieldset:not(:has(> legend))").forEach(() => faults.push("legend"));
  all("[role=region]").forEach((e) => { if (!e.ariaLabel) faults.push("region"); });
  const ids = all("[id]").map((e) => e.id);
  if (new Set(ids).size !== ids.length) faults.push("ids");
  const levels = all("h1, h2, h3, h4").map((e) => Number(e.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push("h1");
  levels.slice(1).forEach((level, i) => {
    if (level - levels[i] > 1) faults.push("heading " + i);
  });
  for (const tag of ["main", "nav", "header"])
    if (all(tag).length !== 1) faults.push(tag);
  return faults;
}
"""


def write_page(run: Path) -> Path:
    """Write the page of a run to run/report/index.html, with two drawings as its figures."""
    folder = run / "report"
    folder.mkdir()
    figures = []
    for name, title, section in (
        ("auc", "AUC by arm", "results"),
        ("roc", "ROC: resnet10t", "classifiers"),
    ):
        files = {}
        for theme, colour in (("light", "#ffffff"), ("dark", "#000000")):
            files[theme] = {"svg": folder / f"{name}_{theme}.svg"}
            files[theme]["svg"].write_text(_DRAWING.format(colour))
        alt, caption = f"What {title} shows, in words.", f"The caption of {title}."
        figures.append(
            FigureFiles(name, title, alt, caption, files["light"], files["dark"], section)
        )
    content = read_run(run)
    page = folder / "index.html"
    page.write_text(render(content, all_tables(content), figures, folder), encoding="utf-8")
    return page


def give_records(run: Path) -> None:
    """Give every cell of a made-up run a configuration and a log."""
    for folder in (run / "cells").iterdir():
        arm, classifier, seed = folder.name.rsplit("-", 2)
        (folder / "config.yaml").write_text(
            f"seed: {seed}\narm:\n  name: {arm}\nclassifier:\n  name: {classifier}\n"
            "data:\n  image_size: 32\n  root: /home/someone/images\n"
        )
        lines = [{"step": 100 * i, "time": 0.0, "val/auc": 0.5 + i / 100} for i in range(20)]
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


class Page(HTMLParser):
    """The tags with their attributes, the text, and whether the tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.sound = True
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):  # noqa: D102
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):  # noqa: D102
        self.sound &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):  # noqa: D102
        if not set(self.open) & {"style", "script"}:
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        """The visible text on one line."""
        return " ".join(" ".join(self.text).split())


def contrast(first: str, second: str) -> float:
    """WCAG 2 contrast of two CSS colours rgb(r, g, b)."""

    def luminance(colour: str) -> float:
        channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)
