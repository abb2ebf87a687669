"""The page is one sound, self-contained document that says what the run found."""

from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from frerec.report import write_report

VOID = {"meta", "img", "source", "br", "link", "hr", "input"}


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


@pytest.fixture(scope="module")
def source(tmp_path_factory, build) -> str:
    run = build(
        tmp_path_factory.mktemp("html") / "run",
        classes=("<script>alert(1)</script>", 'large & "round" $x^2$'),
        states={("gda", "resnet10t", 2): "failed"},
        errors="<img src=http://example.org/x onerror=alert(1)>",
    )
    return write_report(run).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_tags_nest(page):
    assert page.sound
    assert page.open == []


def test_nothing_is_loaded_from_elsewhere(page, source):
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href", "poster", "data"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#"))
    style = source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_image_is_described_and_has_a_dark_twin(page):
    images = page.all("img")
    assert len(images) == 3
    assert all(len(image["alt"]) > 40 for image in images)
    assert [s["media"] for s in page.all("source")] == ["(prefers-color-scheme: dark)"] * 3


def test_headings_come_in_order_under_one_title(page):
    levels = [int(tag[1]) for tag, _ in page.tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_tables_have_captions_and_scoped_headers(page):
    assert len(page.all("table")) == len(page.all("caption")) >= 8
    assert {th.get("scope") for th in page.all("th")} == {"col", "row", "rowgroup"}


def test_the_generators_quality_is_beside_the_results(page):
    ids = [attributes.get("id") for _, attributes in page.tags]
    assert ids.index("table") < ids.index("quality")
    assert "real half against real half 600 / 600 3.25" in page.words


def test_labels_refer_to_headings_that_exist(page):
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {s["aria-labelledby"] for s in page.all("section")} <= set(ids)


def test_names_from_the_data_are_text_and_never_markup(page, source):
    assert "<script" not in source
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "<script>alert(1)</script>" in page.words
    assert len(page.all("img")) == 3


def test_page_is_in_a_language_fits_a_phone_and_knows_both_themes(page, source):
    assert page.all("html") == [{"lang": "en"}]
    meta = {m.get("name"): m.get("content") for m in page.all("meta")}
    assert meta["viewport"] == "width=device-width, initial-scale=1"
    assert meta["color-scheme"] == "light dark"
    assert "prefers-color-scheme: dark" in source


def test_page_says_what_ran_what_came_out_and_its_limits(page):
    for text in (
        "frerec benchmark experiment=cardiomegaly",
        "torch 2.11.0",
        "23 of 24 cells finished, 1 failed",
        "0.888 (ResNet50)",
        "gda against raw: no evidence of a difference",
        "The intervals are over seeds only",
        "The synthetic set and the FreRec fit are shared by all seeds",
        "3 seeds are few",
        "arXiv 2511.12301",
        "25.10",
    ):
        assert text in page.words, text


def test_a_run_that_has_only_begun_is_reported_as_such(tmp_path, build):
    arms = ("raw", "gda")
    states = {(arm, "resnet50", s): "pending" for arm in arms for s in range(3)}
    run = build(tmp_path / "r", arms=arms, classifiers=("resnet50",), states=states,
                showcase=False)  # fmt: skip
    page = Page(Path(write_report(run)).read_text(encoding="utf-8"))
    assert page.sound
    assert "No cell has finished yet" in page.words
    assert "no showcase of images and spectra yet" in page.words
    assert "No two arms share a finished seed yet" in page.words


def test_unequal_steps_are_warned_of_at_the_top(tmp_path, build):
    run = build(tmp_path / "r", classifiers=("resnet50",), steps={"gda": 9}, showcase=False)
    words = Page(write_report(run).read_text(encoding="utf-8")).words
    assert words.index("WARNING: resnet50: the optimiser steps") < words.index("What was run")
