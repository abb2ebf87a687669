"""The samples of a smaller ratio are among those of a larger one, in any order of the table."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frerec.data.manifest import Manifest
from frerec.errors import ConfigError, DataError
from frerec.generators import ConditionalVAE
from frerec.samples import (
    balanced_counts,
    load_samples,
    take_counts,
    take_ratio,
    write_samples,
)

CLASSES = ("normal", "large")
REAL = {"normal": 20, "large": 11}


def manifest(root, normal=40, large=30, name="{label}/{k}.png") -> Manifest:
    rows = [("normal", k) for k in range(normal)] + [("large", k) for k in range(large)]
    return Manifest.build(
        root,
        images=[name.format(label=label, k=k) for label, k in rows],
        labels=[label for label, _ in rows],
        source="synthetic",
        classes=CLASSES,
    )


def images(taken: Manifest) -> set[str]:
    return set(taken.table["image"])


@given(
    st.floats(0.01, 1.5), st.floats(0.01, 1.5), st.integers(0, 5), st.randoms(use_true_random=False)
)
def test_smaller_is_among_larger_whatever_the_order(one, other, seed, random):
    whole = manifest("x")
    shuffled = list(range(len(whole)))
    random.shuffle(shuffled)
    small = take_ratio(whole, REAL, min(one, other), seed=seed)
    large = take_ratio(whole.take(shuffled), REAL, max(one, other), seed=seed)
    assert images(small) <= images(large)
    counts = small.table["label"].value_counts().to_dict()
    assert counts == balanced_counts(REAL, min(one, other))


def test_the_seed_chooses_and_rows_keep_their_order():
    whole = manifest("x")
    taken = [take_ratio(whole, REAL, 1, seed=seed) for seed in range(3)]
    assert len({frozenset(images(t)) for t in taken}) == 3
    for t in taken:
        assert t.table["image"].is_monotonic_increasing
    # Not simply the first ones by name: all places of the table have their share.
    positions = np.flatnonzero(whole.table["image"].isin(images(taken[0])))
    assert positions.max() > 60
    assert abs(np.median(positions) - 35) < 15


def test_a_zip_of_the_same_files_gives_the_same_samples():
    plain = take_ratio(manifest("x"), REAL, 1, seed=0)
    inside = take_ratio(manifest("x", name="set.zip::{label}/{k}.png"), REAL, 1, seed=0)
    assert {name.partition("::")[2] for name in images(inside)} == images(plain)


def test_names_that_differ_by_their_archive_alone_keep_their_order_too():
    names = [f"{archive}.zip::{k}.png" for archive in "abc" for k in range(10)]
    whole = Manifest.build("x", images=names, labels=["normal"] * 30, classes=CLASSES)
    reversed_ = whole.take(np.arange(30)[::-1])
    one, other = (take_counts(m, {"normal": 11}, seed=0) for m in (whole, reversed_))
    assert images(one) == images(other)


def test_a_class_without_real_images_gets_no_samples():
    taken = take_ratio(manifest("x"), {"normal": 10, "large": 0}, 1, seed=0)
    assert set(taken.table["label"]) == {"normal"}


def test_too_few_samples_are_told_with_the_ratio_that_there_is():
    with pytest.raises(DataError) as caught:
        take_ratio(manifest("x", large=9), REAL, 1, seed=0)
    text = str(caught.value)
    assert "large 9 of 11" in text
    assert "normal" not in text
    most = float(text.rpartition("samples.ratio=")[2].partition(",")[0])
    assert most == 0.818
    assert len(take_ratio(manifest("x", large=9), REAL, most, seed=0))
    with pytest.raises(DataError, match="give more samples"):
        take_ratio(manifest("x", large=0), REAL, 1, seed=0)


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(ratio):
    with pytest.raises(ConfigError, match=r"samples\.ratio="):
        take_ratio(manifest("x"), REAL, ratio, seed=0)


def test_counts_may_be_given():
    taken = take_counts(manifest("x"), {"large": 3}, seed=0)
    assert taken.table["label"].tolist() == ["large"] * 3
    with pytest.raises(DataError, match=r"large: 31, but .* has 30"):
        take_counts(manifest("x"), {"large": 31}, seed=0)
    with pytest.raises(DataError, match="huge is none of the classes normal, large"):
        take_counts(manifest("x"), {"huge": 1}, seed=0)
    with pytest.raises(ConfigError, match="expected 0 or more"):
        take_counts(manifest("x"), {"large": -1}, seed=0)


def test_what_generate_wrote_is_taken_by_its_numbers(tmp_path):
    vae = ConditionalVAE(num_classes=2, channels=1, image_size=16, latent_dim=4, width=4, seed=0)
    write_samples(vae.eval(), {"normal": 12, "large": 10}, CLASSES, tmp_path / "set", seed=1)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in sorted((tmp_path / "set").rglob("*")):
            archive.write(file, file.relative_to(tmp_path / "set").as_posix())
    expected = {f"{name}/{k:06d}.png" for name, n in {"normal": 5, "large": 3}.items()
                for k in range(n)}  # fmt: skip
    for path in ("set", "set.zip"):
        whole = load_samples(tmp_path / path, classes=CLASSES)
        order = np.random.default_rng(0).permutation(len(whole))
        taken = take_ratio(whole.take(order), {"normal": 10, "large": 6}, 0.5, seed=7)
        assert {name.rpartition("::")[2] for name in images(taken)} == expected


def test_a_users_numbered_files_are_no_output_of_generate(tmp_path):
    whole = manifest(tmp_path, name="{label}/{k:06d}.png")
    taken = take_ratio(whole, REAL, 1, seed=0)
    assert images(taken) != {f"{c}/{k:06d}.png" for c, n in REAL.items() for k in range(n)}
