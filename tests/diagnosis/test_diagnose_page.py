"""What ``frerec diagnose`` writes: the numbers, the page and the figures."""

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

COUNT = 24

Diagnose = Callable[..., int]
Numbers = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def diagnosed(folders: Path, diagnose: Diagnose) -> Path:
    """The one diagnosis whose figures these tests look at."""
    assert diagnose(f"out={folders / 'out'}", f"model={folders / 'model'}") == 0
    return folders / "out"


def test_a_weak_high_band_is_found_and_a_calibrator_mends_it(
    diagnosed: Path, numbers: Numbers
) -> None:
    found = numbers(diagnosed)["comparisons"]
    before, after = found["before"], found["after_against_calibrated_real"]
    assert before["power_high_db"]["high"] < -3
    assert before["detectors"]["trained_anew"]["logistic"]["value"] > 0.95
    assert after["lsd_high_db"]["value"] < 0.5 * before["lsd_high_db"]["value"]
    assert abs(after["power_high_db"]["value"]) < 0.5 * abs(before["power_high_db"]["value"])
    assert set(after["detectors"]) == {"trained_anew", "trained_before"}
    assert after["real"] == "real_calibrated"
    assert found["after_against_raw_real"]["real"] == "real"


def test_the_numbers_have_their_keys_and_name_what_was_compared(
    diagnosed: Path, numbers: Numbers
) -> None:
    found = numbers(diagnosed)
    assert found["image_shape"] == [1, 32, 32]
    assert found["sets"]["real"]["took_part_in_fit"] == COUNT
    assert found["groups"] == {"source": "the model's fit", "real": COUNT}
    assert found["model"]["calibrator"] == "shr"
    assert set(found["fidelity"]["real"]) == {"psnr_db", "ssim"}
    assert len(found["radial"]["rho"]) == len(found["radial"]["synthetic_calibrated"]["mean"])
    assert found["warnings"] == []


def test_every_figure_of_the_verdict_is_a_number_of_the_file(
    diagnosed: Path, numbers: Numbers
) -> None:
    found = numbers(diagnosed)
    before = found["comparisons"]["before"]
    assert f"{abs(before['power_high_db']['value']):.2f} dB" in found["verdict"][0]
    assert (
        f"AUC {before['detectors']['trained_anew']['logistic']['value']:.3f}"
        in (found["verdict"][1])
    )


class Page(HTMLParser):
    """Tags with their attributes, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.sound = True
        self.feed(text)

    def handle_starttag(self, tag, attrs):  # noqa: D102
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "source", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):  # noqa: D102
        self.sound &= bool(self.open) and self.open.pop() == tag


def test_the_page_is_sound_self_contained_and_described(diagnosed: Path, numbers: Numbers) -> None:
    text = (diagnosed / "index.html").read_text()
    page = Page(text)
    assert page.sound
    assert page.open == []
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(len(image["alt"] or "") > 40 for image in images)
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name in ("src", "srcset", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "prefers-color-scheme: dark" in text
    tables = [tag for tag, _ in page.tags if tag in ("table", "caption")]
    assert tables.count("table") == tables.count("caption") == 3
    for sentence in numbers(diagnosed)["verdict"]:
        assert sentence.replace("'", "&#39;") in text


def test_figures_are_written_as_png_and_svg_in_both_themes(diagnosed: Path) -> None:
    stems = ("radial", "planes", "detectors", "samples")
    expected = {f"{s}{t}.{k}" for s in stems for t in ("", "_dark") for k in ("png", "svg")}
    assert {p.name for p in (diagnosed / "figures").iterdir()} == expected
    assert Image.open(diagnosed / "figures" / "planes.png").format == "PNG"
