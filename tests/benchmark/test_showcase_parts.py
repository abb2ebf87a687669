"""Parts of a showcase that need no run: how calls are put together, and what is timed."""

from pathlib import Path
from typing import Any, ClassVar

import torch

from frerec.benchmark.shown_calibrators import _milliseconds
from frerec.benchmark.shown_merging import merge_entries, merge_missing, read_before


def test_images_of_the_warm_up_are_not_timed_where_there_are_others() -> None:
    class Counting:
        device = torch.device("cpu")
        seen: ClassVar[list[float]] = []

        def transform(self, image: torch.Tensor) -> torch.Tensor:
            self.seen.append(float(image[0, 0, 0, 0]))
            return image

    images = torch.arange(5.0).reshape(5, 1, 1, 1)
    assert len(_milliseconds(Counting(), images)) == 3  # type: ignore[arg-type]
    assert Counting.seen == [0, 1, 2, 3, 4]
    assert len(_milliseconds(Counting(), images[:2])) == 2  # type: ignore[arg-type]


def test_other_settings_of_the_run_begin_a_new_showcase(tmp_path: Path) -> None:
    (tmp_path / "showcase.json").write_text('{"settings": "a", "calls": ["1"]}')
    assert read_before(tmp_path, "a")["calls"] == ["1"]
    assert read_before(tmp_path, "b") == {}
    (tmp_path / "showcase.json").write_text("{")
    assert read_before(tmp_path, "a") == {}


def entry(key: str, arm: str, parts: str, **more: Any) -> dict[str, Any]:
    made = {"key": key, "arm": arm, "arms": [arm], "extra": {}, "calibrates": parts.split()}
    return made | more


def test_merged_entries_are_named_as_if_one_call_had_made_them() -> None:
    whole = entry("a", "frerec", "real synthetic evaluation", method="frerec", extra={"x": "1"})
    control = entry("a", "raw_frerec", "real evaluation", method="raw_frerec", psnr=2.0)
    other = entry("b", "shr", "real synthetic evaluation")
    found = merge_entries([whole, other], [control])
    assert [(e["arm"], e["arms"]) for e in found] == [
        ("frerec", ["frerec", "raw_frerec"]),
        ("shr", ["shr"]),
    ]
    assert (found[0]["psnr"], found[0]["method"], found[0]["extra"]) == (2.0, "frerec", {})
    assert merge_entries([control], [whole])[0]["arm"] == "frerec"


def test_what_was_missing_stays_missing_until_it_is_tried_again() -> None:
    before = {"umap after": "a", "inference of shr": "b", "inference of frerec": "c"}
    tried = ["inference of frerec"]
    assert set(merge_missing(before, {}, tried, pictures=True)) == {
        "umap after",
        "inference of shr",
    }
    assert merge_missing(before, {"umap after": "d"}, tried, pictures=False) == {
        "inference of shr": "b",
        "umap after": "d",
    }
