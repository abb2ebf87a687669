"""The page is one sound, self-contained document that says what the run found."""

import base64
import hashlib
from itertools import pairwise
from pathlib import Path

import pytest
from pages import Page, give_records, write_page

from frerec.report.run import read_run
from frerec.report.sections import SECTIONS
from frerec.report.tables import all_tables


@pytest.fixture(scope="module")
def written(tmp_path_factory, build) -> Path:
    run = build(
        tmp_path_factory.mktemp("html") / "run",
        classes=("<script>alert(1)</script>", 'large & "round" $x^2$'),
        states={("gda", "resnet10t", 2): "failed"},
        errors="<img src=http://example.org/x onerror=alert(1)>",
    )
    give_records(run)
    write_page(run)
    return run


@pytest.fixture(scope="module")
def source(written) -> str:
    return (written / "report" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_tags_nest(page):
    assert page.sound
    assert page.open == []


def test_nothing_is_loaded_from_elsewhere(page, source):
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "poster", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
        # Links lead within the page, or to the files of a cell.
        lead = ("#", "../cells/") if tag == "a" else ("data:",)
        assert (attributes.get("href") or lead[0]).startswith(lead)
    style = source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_the_one_script_and_nothing_else(page, source):
    assert page.all("script") == [{}]
    script = source.split("<script>")[1].split("</script>")[0]
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = [m["content"] for m in page.all("meta") if "Policy" in (m.get("http-equiv") or "")]
    rules = dict(rule.strip().split(" ", 1) for rule in policy[0].split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["script-src"] == f"'sha256-{known}'"
    assert rules["img-src"] == "data:"
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]


def test_every_figure_is_there_described_and_has_a_dark_twin(page):
    assert len(page.all("picture")) == 2
    assert [s["media"] for s in page.all("source")] == ["(prefers-color-scheme: dark)"] * 2
    assert all(len(image["alt"]) > 20 for image in page.all("img"))
    assert "AUC by arm. The caption of AUC by arm." in page.words


def test_every_table_is_there_under_a_heading_of_its_section(page, written):
    tables = all_tables(read_run(written))
    assert len(tables) > 5
    for table in tables:
        caption = page.words.index(" ".join(table.caption.split()))
        assert page.words.index(f" {SECTIONS[table.section]} ") < caption


def test_a_cells_settings_and_log_are_there_without_paths(page):
    assert "arm.name: raw" in page.words
    assert "step 1900 val/auc 0.69" in page.words
    assert "someone" not in page.words


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
    assert ids.index("results") < ids.index("samples")
    assert "real half against real half 600 / 600 3.25" in page.words


def test_labels_refer_to_headings_that_exist(page):
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {s["aria-labelledby"] for s in page.all("section")} <= set(ids)
    assert {label["for"] for label in page.all("label") if "for" in label} <= set(ids)
    within = {a["href"] for a in page.all("a") if a["href"].startswith("#")}
    assert {address[1:] for address in within} <= set(ids)


def test_the_contents_list_every_section(page):
    headings = [s["aria-labelledby"] for s in page.all("section")]
    within = [a["href"][1:] for a in page.all("a") if a["href"].startswith("#")]
    # After the link that skips the contents.
    assert within[1 : 1 + len(headings)] == headings


def test_names_from_the_data_are_text_and_never_markup(page, source):
    assert source.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in source
    assert "<script>alert(1)</script>" in page.words
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    labels = [f["data-label"] for f in page.all("figure") if "data-label" in f]
    assert "synthetic 1, <script>alert(1)</script>" in labels


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
        "The Student-t intervals are over seeds only",
        "The synthetic set, the FreRec fit and the ceiling's real images are shared",
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
    page = Page(write_page(run).read_text(encoding="utf-8"))
    assert page.sound
    assert "No cell has finished yet" in page.words
    assert "no showcase of images and spectra yet" in page.words
    assert "No two arms share a finished seed yet" in page.words


def test_unequal_steps_are_warned_of_at_the_top(tmp_path, build):
    run = build(tmp_path / "r", classifiers=("resnet50",), steps={"gda": 9}, showcase=False)
    words = Page(write_page(run).read_text(encoding="utf-8")).words
    # The contents name the first section before; its own text comes after the warning.
    assert words.index("WARNING: resnet50: the optimiser steps") < words.index("Data set")
