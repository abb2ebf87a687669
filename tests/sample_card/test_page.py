"""The card as a page: every number of it is the card's, and a card with gaps still makes a page."""

import pytest

from frerec.sample_card.content import make_card
from frerec.sample_card.page import render


def card(**changes):
    distance = {
        "fid": 81.24, "kid": 0.1421, "kid_std": 0.0042, "precision": 0.512, "recall": None,
        "lsd_db": 9.48, "lsd_high_db": 13.2, "detector_auc": 1.0, "n_real": 40, "n_synthetic": 30,
    }  # fmt: skip
    content = {
        "generator": "vae",
        "kind": "ConditionalVAE",
        "settings": {"width": 16, "beta": 0.5},
        "trained_on": {"data": "chest", "training_images": {"ill": 20, "well": 20}},
        "training": {"steps": 100, "final": {"train/loss": 0.25}},
        "counts": {"ill": 10, "well": 20},
        "seed": 3,
        "excluded": {"ill": 1, "well": 0},
        "quality": distance | {
            "features": "random", "floor": distance | {"fid": 3.0}, "matched": None,
            "warnings": ["few images"],
        },
        "memorisation": {
            "n_flagged": 1, "n_samples": 31, "expected_false_alarms": 0.31, "rule": "ssim",
            "quantile": 0.01, "thresholds": {"ssim": 0.7}, "n_real": 40, "n_groups": 38,
            "mirrored": True,
        },
    }  # fmt: skip
    return make_card(**(content | changes))


def page(**changes) -> str:
    return render(card(**changes), grid="samples.png", signature="signature.png")


def rows(text: str) -> dict[str, list[str]]:
    """Cells of every table row by the first of them; a masked sign is no border."""
    found = {}
    for line in text.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "\0").strip("|").split("|")
            first, *others = (cell.strip().replace("\0", "|") for cell in cells)
            found[first] = others
    return found


def test_it_says_what_the_card_says():
    text = page()
    found = rows(text)
    assert found["generator"] == ["ConditionalVAE (width 16, beta 0.5)"]
    assert found["learned from"] == ["chest: ill 20, well 20"]
    assert found["samples"] == ["ill 10, well 20; seed 3"]
    assert found["left out as memorised"] == ["ill 1, well 0; they lie in memorised/"]
    assert found["FID"] == ["81.24", "–", "3.00", "0"]
    assert found["KID"][0] == "0.1421 ± 0.0042"
    assert found["images / real images"][:2] == ["30 / 40", "–"]
    assert "**1 of 31 samples**" in text
    assert "**few images**" in text


@pytest.mark.parametrize(
    ("changes", "learned"),
    [
        ({"trained_on": {}, "training": {}}, None),  # a checkpoint without data.json
        ({"trained_on": {"modality": "chest_xray"}}, ["–"]),
        ({"trained_on": {"data": "chest"}}, ["chest"]),
        ({"trained_on": {"training_images": {"ill": 2}}}, ["ill 2"]),
        ({"quality": None, "memorisation": None}, ["chest: ill 20, well 20"]),
        ({"excluded": {}, "settings": {}}, ["chest: ill 20, well 20"]),
    ],
)
def test_what_is_not_known_is_not_on_it(changes, learned):
    text = page(**changes)
    assert rows(text).get("learned from") == learned
    assert ("## Against the real" in text) == ("quality" not in changes)
    assert ("## Copies" in text) == ("memorisation" not in changes)


def test_names_cannot_break_a_table():
    text = page(counts={"a|b": 1, "c\nd": 2}, generator="x|y")
    found = rows(text)
    assert found["samples"] == ["a|b 1, c d 2; seed 3"]
    assert {len(cells) for cells in found.values()} == {1, 4}
