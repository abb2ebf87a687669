"""encodings: an encoding that goes with the class is found, one that does not is not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from frerec.data.audit.encodings import encodings
from frerec.data.manifest import Manifest

N = 400
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order() -> None:
    globals()["RNG"] = np.random.default_rng(0)


ILL = np.arange(N) % 2 == 0
TEST = np.arange(N) % 8 < 2


def manifest(**facts: object) -> Manifest:
    """Half ill and half well, a quarter of each to test; JPEGs alike but for the facts given."""
    built = Manifest.build(
        Path("/data"),
        images=[f"{i:03d}.jpg" for i in range(N)],
        labels=np.where(ILL, "ill", "well").tolist(),
        splits=np.where(TEST, "test", "train").tolist(),
    )
    alike = {
        "format": "JPEG",
        "mode": "L",
        "bits": 8,
        "quality": 90,
        "height": 256,
        "width": 256,
        "scale": 1.0,
    }
    columns = {
        name: pd.array(np.broadcast_to(np.asarray(value), N).tolist())
        for name, value in {**alike, **facts}.items()
    }
    return built.with_columns(**columns)


def codes(found: Manifest) -> set[str]:
    return {finding.code for finding in encodings(found)[1]}


def test_files_that_are_all_alike_raise_nothing() -> None:
    report, findings = encodings(manifest())
    assert findings == []
    assert report["format"]["by_label"] == {
        "counts": {"well": {"JPEG": 200}, "ill": {"JPEG": 200}},
        "cramers_v": 0.0,
        "total_variation": {"well": 0.0, "ill": 0.0},
        "p": 1.0,
        "strong": False,
    }
    assert report["sizes"]["ill"]["height"] == {"min": 256.0, "median": 256.0, "max": 256.0}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"format": np.where(ILL, "PNG", "JPEG"), "quality": np.where(ILL, 0, 90)}, "format"),
        ({"mode": np.where(ILL & (RNG.random(N) < 0.5), "RGB", "L")}, "mode"),
        ({"bits": np.where(ILL, 16, 8)}, "bits"),
        ({"quality": np.where(ILL, 75, 95)}, "quality"),
        ({"scale": np.where(ILL, 0.5, 1.0)}, "resizing"),
    ],
)
def test_what_goes_with_the_class_is_a_warning(facts: dict[str, object], code: str) -> None:
    found = manifest(**facts)
    assert codes(found) == {f"{code}_by_class"}
    assert {f.level for f in encodings(found)[1]} == {"warning"}


def test_what_does_not_go_with_the_class_is_none() -> None:
    some = RNG.random(N) < 0.4
    mixed = manifest(
        mode=np.where(some, "RGB", "L"),
        quality=RNG.choice([75, 90, 95], N),
        height=RNG.integers(200, 900, N),
        width=RNG.integers(200, 900, N),
    )
    assert codes(mixed) == set()


def test_the_message_names_the_value_that_tells_most() -> None:
    mode = np.where(ILL, np.where(RNG.random(N) < 0.9, "RGB", "L"), "L")
    report, (finding,) = encodings(manifest(mode=mode))
    table = pd.crosstab(ILL, mode)
    share = f"{100 * table.loc[True, 'RGB'] / 200:.0f} %"
    v = report["mode"]["by_label"]["cramers_v"]
    assert v == pytest.approx(association(table, "cramer"), abs=0.01)
    assert f"(Cramer's V {v:.2f})" in finding.message
    assert f"RGB is {share} of ill, 0 % of well" in finding.message


def unbalanced(labels: list[str], formats: list[str]) -> Manifest:
    """Files of these classes and formats, alike but for that."""
    built = Manifest.build(
        Path("/data"), images=[f"{i:06d}" for i in range(len(labels))], labels=labels
    )
    return built.with_columns(
        format=formats, mode="L", bits=8, quality=0, height=256, width=256, scale=1.0
    )


def test_a_confound_of_a_rare_class_is_a_warning() -> None:
    """As in the chest X-rays of the NIH: 2.5 % positive, these all JPEG, the others by half."""
    labels = ["ill"] * 250 + ["well"] * 9750
    found = unbalanced(labels, ["JPEG"] * 250 + ["JPEG", "PNG"] * 4875)
    report, (finding,) = encodings(found)
    assert finding.code == "format_by_class"
    assert report["format"]["by_label"]["cramers_v"] < 0.2
    assert report["format"]["by_label"]["total_variation"] == {"ill": 0.5, "well": 0.5}
    assert "PNG is 50 % of well, 0 % of ill" in finding.message


def test_of_many_classes_the_one_that_departs_is_named() -> None:
    labels = ["d"] * 40 + [name for name in "abc" for _ in range(400)] + ["e"] * 2
    formats = ["JPEG"] * 39 + ["PNG"] + ["JPEG", "PNG"] * 600 + ["PNG"] * 2
    (finding,) = encodings(unbalanced(labels, formats))[1]  # two images of e say nothing
    assert "PNG is 2 % of d, 50 % of the others" in finding.message


def test_few_files_that_differ_by_chance_are_no_warning() -> None:
    rng = np.random.default_rng(0)
    for ill, well in [(2, 2), (3, 20)]:
        warned = 0
        for _ in range(12):
            found = unbalanced(
                ["ill"] * ill + ["well"] * well, rng.choice(["PNG", "JPEG"], ill + well).tolist()
            )
            side = rng.integers(200, 900, ill + well)
            warned += bool(encodings(found.with_columns(height=side, width=side))[1])
        assert warned <= 1


def test_a_difference_between_splits_is_a_note() -> None:
    (finding,) = encodings(manifest(quality=np.where(TEST, 60, 90)))[1]
    assert (finding.code, finding.level) == ("quality_by_split", "note")
    assert "60 is 100 % of test, 0 % of train" in finding.message


def test_blank_splits_are_not_compared() -> None:
    unset = manifest().with_columns(split=pd.array([""] * N, dtype="str"))
    assert encodings(unset)[0]["format"]["by_split"]["counts"] == {}


def test_quality_is_compared_among_jpegs_only() -> None:
    png = RNG.random(N) < 0.5
    found = manifest(format=np.where(png, "PNG", "JPEG"), quality=np.where(png, 0, 80))
    counts = encodings(found)[0]["quality"]["by_label"]["counts"]
    assert counts == {
        "well": {"80": int((~png & ~ILL).sum())},
        "ill": {"80": int((~png & ILL).sum())},
    }


def test_native_sizes_and_shapes_that_tell_a_class_are_warnings() -> None:
    side = np.where(ILL, RNG.integers(400, 600, N), RNG.integers(150, 450, N))
    report, findings = encodings(manifest(height=side, width=side, scale=128 / side))
    assert [f.code for f in findings if f.code.startswith("area")] == ["area_by_class"]
    assert "px a side" in findings[-1].message
    assert report["sizes"]["ill"]["auc"]["area"]["value"] > 0.9
    assert report["sizes"]["well"]["auc"]["area"]["value"] < 0.1
    wide = np.where(ILL, RNG.integers(300, 500, N), RNG.integers(200, 310, N))
    assert "aspect_by_class" in codes(manifest(width=wide, height=250))


def test_many_native_sizes_are_summed_up() -> None:
    side = RNG.integers(200, 900, N)
    values = encodings(manifest(height=side, width=side))[0]["size"]["by_label"]["counts"]
    assert max(len(counts) for counts in values.values()) <= 10
    assert sum(values["ill"].values()) == 200


def test_enlarged_images_are_counted_by_class() -> None:
    small = np.arange(N) % 10 == 0
    side = np.where(small, 64, 256)
    found = manifest(height=side, width=side, scale=128 / side)
    finding = next(f for f in encodings(found)[1] if f.code == "enlarged")
    assert "40 images of 400 were enlarged (ill 40), up to 2.0 times" in finding.message
    assert "smallest side is 64 px" in finding.message


def test_a_class_without_images_is_no_obstacle() -> None:
    found = manifest()
    report, findings = encodings(Manifest(found.table, found.root, ("well", "ill", "rare")))
    assert findings == []
    assert report["sizes"]["rare"]["height"] is None
