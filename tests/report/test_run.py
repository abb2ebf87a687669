"""A run directory is read as it is, and a damaged one is named in one line."""

import json
from dataclasses import replace

import numpy as np
import pytest

from frerec.errors import DataError
from frerec.evaluation.predictions import read_predictions, write_predictions
from frerec.report.main_tables import main_table
from frerec.report.run import read_run


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def flip(file):
    """Compressed, and then damaged within the first member: zlib's own error."""
    np.savez_compressed(file, real=np.random.default_rng(0).bytes(4000))
    content = bytearray(file.read_bytes())
    content[200:1200] = bytes(255 - value for value in content[200:1200])
    file.write_bytes(content)


def plain_array(file):
    with file.open("wb") as out:
        np.save(out, np.zeros(3))


def diverged(made):
    return replace(made, probabilities=np.full_like(made.probabilities, np.nan))


def rewrite(folder, change):
    made = read_predictions(folder / "predictions.parquet")
    change(made)
    write_predictions(folder / "predictions.parquet", made)


def test_cells_carry_axes_state_and_numbers(run_dir, made_auc):
    run = read_run(run_dir)
    assert (run.name, run.dataset, run.published) == ("cardiomegaly", "chest_xray", "cardiomegaly")
    assert len(run.cells) == len(run.finished) == 4 * 2 * 3
    cell = next(c for c in run.cells if c.id == "frerec-resnet50-2")
    assert (cell.arm, cell.classifier, cell.seed, cell.generator) == (
        "frerec", "resnet50", 2, "vae",
    )  # fmt: skip
    assert cell.test["auc"] == pytest.approx(made_auc("frerec", "resnet50", 2))
    assert cell.doubts == ()
    assert cell.training["steps"] == 1500
    assert run.hardware == {"cpu": "an x86_64 processor", "cores": "2"}


def test_showcase_arrays_come_back(run_dir):
    show = read_run(run_dir).showcase
    assert show.generator == "vae"
    assert show.images["synthetic_shr"].shape == (12, 1, 32, 32)
    assert show.spectra["real"][0].shape == show.rho.shape
    assert show.sets["synthetic_frerec"]["kid"] is None


def test_a_cell_without_status_is_pending_and_a_run_may_lack_a_showcase(tmp_path, build):
    run = read_run(
        build(tmp_path / "r", states={("gda", "resnet50", 1): "pending"}, showcase=False)
    )
    assert [c.id for c in run.cells if c.state == "pending"] == ["gda-resnet50-1"]
    assert run.showcase is None


def test_an_arm_without_a_generator_has_an_empty_one(run_dir):
    edit(run_dir / "benchmark.json", lambda c: c["cells"][0]["axes"].update(generator=None))
    assert read_run(run_dir).cells[0].generator == ""


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda d: (d / "benchmark.json").unlink(), "not a run directory"),
        (
            lambda d: (d / "benchmark.json").write_text('{"cells": ['),
            "benchmark.json: not readable",
        ),
        (lambda d: (d / "benchmark.json").write_text("[]"), "must hold a JSON object"),
        (lambda d: edit(d / "benchmark.json", lambda c: c.update(cells=3)), "cells must be a list"),
        (lambda d: edit(d / "benchmark.json", lambda c: c.update(published="mars")), "brain_tumor"),
        (lambda d: edit(d / "benchmark.json", lambda c: c.update(published=[1])), "published must"),
        (lambda d: edit(d / "benchmark.json", lambda c: c.update(classes=5)), "classes must be a"),
        (lambda d: edit(d / "benchmark.json", lambda c: c.update(classes="abc")), "found 'abc'"),
        (
            lambda d: edit(d / "benchmark.json", lambda c: c.update(image_size="x")),
            "benchmark.json: image_size must be a whole number",
        ),
        (lambda d: edit(d / "benchmark.json", lambda c: c["cells"][0].pop("id")), "needs an id"),
        (
            lambda d: edit(d / "benchmark.json", lambda c: c["cells"][0]["axes"].pop("seed")),
            "axes arm, classifier, seed",
        ),
        (
            lambda d: edit(d / "benchmark.json", lambda c: c["cells"][1]["axes"].update(seed=0)),
            "raw-resnet50-0 and raw-resnet50-1 have the same axes",
        ),
        (
            lambda d: edit(d / "benchmark.json", lambda c: c.update(counts={"train": 3})),
            "counts must map",
        ),
        (
            lambda d: (d / "cells/raw-resnet50-0/metrics.json").unlink(),
            "missing though the cell is finished",
        ),
        (
            lambda d: (d / "cells/raw-resnet50-0/metrics.json").write_text("{"),
            "metrics.json: not readable",
        ),
        (
            lambda d: (d / "cells/raw-resnet50-0/predictions.parquet").write_bytes(b"PAR1 torn"),
            "predictions.parquet: not readable",
        ),
        (
            lambda d: rewrite(d / "cells/raw-resnet50-0", lambda made: made.pop("val")),
            "predictions.parquet: no val images",
        ),
        (
            lambda d: rewrite(
                d / "cells/raw-resnet50-0", lambda made: made.update(test=diverged(made["test"]))
            ),
            "predictions.parquet: test: probabilities are NaN",
        ),
        (
            lambda d: (d / "cells/raw-resnet50-0/environment.json").write_text("[]"),
            "environment.json: must hold a JSON object",
        ),
        (
            lambda d: (d / "cells/raw-resnet50-0/status.json").write_text('{"state": "asleep"}'),
            "found 'asleep'",
        ),
        (
            lambda d: edit(d / "showcase/showcase.json", lambda c: c.update(quality=[3])),
            "quality must be a list",
        ),
        (lambda d: (d / "showcase/images.npz").write_bytes(b"PK torn"), "images.npz: not readable"),
        (lambda d: (d / "showcase/images.npz").write_bytes(b""), "images.npz: not readable"),
        (lambda d: flip(d / "showcase/images.npz"), "images.npz: not readable"),
        (lambda d: plain_array(d / "showcase/images.npz"), "images.npz: not readable"),
        (
            lambda d: np.savez(d / "showcase/images.npz", real=np.zeros((2, 8, 8))),
            "real must be uint8",
        ),
        (
            lambda d: np.savez(d / "showcase/images.npz", real=np.array([{}], dtype=object)),
            "images.npz: not readable",
        ),
        (
            lambda d: np.savez(
                d / "showcase/spectra.npz",
                rho=np.ones(3),
                real_mean=np.ones(4),
                real_std=np.ones(4),
            ),
            "length of rho",
        ),
    ],
)
def test_damage_is_named_in_one_line(run_dir, break_it, says):
    break_it(run_dir)
    with pytest.raises(DataError) as caught:
        read_run(run_dir)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cells_own_record_is_held_against_its_predictions(run_dir):
    folder = run_dir / "cells" / "gda-resnet50-1"
    edit(folder / "metrics.json", lambda c: c["test"].update(auc=c["test"]["auc"] + 0.01, f1=None))
    edit(folder / "metrics.json", lambda c: c["val"].pop("ece"))  # of an older frerec
    cells = {cell.id: cell for cell in read_run(run_dir).cells}
    found = cells["gda-resnet50-1"]
    assert found.doubts == (
        f"metrics.json says test auc {found.test['auc'] + 0.01:.4f}, the predictions give "
        f"{found.test['auc']:.4f}",
    )
    assert sum(bool(cell.doubts) for cell in cells.values()) == 1


def test_seeds_that_were_not_tested_on_the_same_images_are_named(tmp_path, build):
    # One arm alone: nothing is compared, and yet no mean of it would hold.
    path = build(tmp_path / "r", arms=("raw",), classifiers=("resnet50",), showcase=False)
    rewrite(
        path / "cells/raw-resnet50-2",
        lambda made: made.update(test=replace(made["test"], images=made["test"].images[::-1])),
    )
    with pytest.raises(DataError, match="images differ") as caught:
        read_run(path)
    assert "raw-resnet50-0" in str(caught.value)
    assert "raw-resnet50-2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "published", "expected", "doubted"),
    [
        (["kaggle_cardiomegaly", "navoneel_brain_tumor"], None,
         {"kaggle_cardiomegaly": "cardiomegaly"}, False),
        (["kaggle_cardiomegaly", "eyepacs"], "cardiomegaly",
         {"kaggle_cardiomegaly": "cardiomegaly"}, True),
        (["brain_tumor", "mine"], None, {"brain_tumor": "brain_tumor"}, False),
        (["eyepacs"], "retinopathy", {"eyepacs": "retinopathy"}, False),
        (["kaggle_cardiomegaly"], None, {}, False),
    ],
)  # fmt: skip
def test_each_data_set_has_its_own_paper_numbers(
    tmp_path, build, names, published, expected, doubted
):
    path = build(tmp_path / "r", classifiers=("resnet50",), arms=("raw",), seeds=tuple(range(2)),
                 published=published, showcase=False)  # fmt: skip

    def rename(plan):
        for k, cell in enumerate(plan["cells"]):
            cell["axes"]["data"] = names[k % len(names)]

    edit(path / "benchmark.json", rename)
    run = read_run(path)
    assert run.references == expected
    warnings = main_table(run).warnings
    assert len(warnings) == doubted
    assert all("published=cardiomegaly is not used" in warning for warning in warnings)


def test_a_cell_carries_what_it_recorded_of_its_machine(run_dir):
    file = run_dir / "cells" / "gda-resnet50-1" / "environment.json"
    file.write_text('{"wall_seconds": 12.5, "peak_memory_mib": 900, "git_commit": null}')
    cells = {cell.id: cell for cell in read_run(run_dir).cells}
    assert cells["gda-resnet50-1"].environment["wall_seconds"] == 12.5
    assert cells["gda-resnet50-0"].environment == {}
