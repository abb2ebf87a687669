"""A run directory is read as it is, and a damaged one is named in one line."""

import json

import numpy as np
import pytest

from frerec.errors import DataError
from frerec.report.run import read_run


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_cells_carry_axes_state_and_numbers(run_dir, made_auc):
    run = read_run(run_dir)
    assert (run.name, run.dataset, run.published) == ("cardiomegaly", "chest_xray", "cardiomegaly")
    assert len(run.cells) == len(run.finished) == 4 * 2 * 3
    cell = next(c for c in run.cells if c.id == "frerec-resnet50-2")
    assert (cell.arm, cell.classifier, cell.seed, cell.generator) == (
        "frerec", "resnet50", 2, "vae",
    )  # fmt: skip
    assert cell.test["auc"] == made_auc("frerec", "resnet50", 2)
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
            lambda d: edit(
                d / "cells/raw-resnet50-0/metrics.json", lambda c: c["test"].update(f1=None)
            ),
            "test.f1 must be a finite number",
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
