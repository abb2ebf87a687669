"""The cells on the page: nothing of the machine, nothing twice, and links that lead there."""

import json
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from frerec.errors import DataError
from frerec.report import page_cells
from frerec.report.page_cells import cell_records, cells_table
from frerec.report.run import read_run

CONFIG = {
    "seed": 0,
    "data": {"name": "chest_xray", "root": "/home/someone/images", "image_size": 32},
    "classifier": {"name": "resnet50", "checkpoint_path": "/home/someone/weights.pt"},
    "paths": {"runs": "/home/someone/runs"},
    "note": "kept in /home/someone/notes",
}


@pytest.fixture
def made(tmp_path, build) -> Path:
    """Three arms; two of the cells have a configuration and a log."""
    path = build(tmp_path / "runs" / "a b", arms=("raw", "gda", "frerec"), seeds=(0,),
                 classifiers=("resnet50",), showcase=False)  # fmt: skip
    for arm in ("raw", "gda"):
        folder = path / "cells" / f"{arm}-resnet50-0"
        config = CONFIG | {"arm": {"name": arm, "synthetic": "raw" if arm == "gda" else "none"}}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        lines = [{"step": i, "time": 1.7e9, "val/auc": i / 7} for i in range(30)]
        lines[-1] |= {"checkpoint": "/home/someone/best.ckpt", "said": "saved /home/someone/x"}
        (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3')
    return path


def test_settings_that_all_cells_share_are_there_once(made):
    records = cell_records(read_run(made), made / "report")
    common = yaml.safe_load(records.common)
    assert common["data"] == {"name": "chest_xray", "image_size": 32}
    assert "arm" not in common
    assert [record.settings for record in records.cells] == [
        "arm.name: raw\narm.synthetic: none",
        "arm.name: gda\narm.synthetic: raw",
        "",
    ]


def test_nothing_says_where_files_lie_on_the_machine(made):
    records = cell_records(read_run(made), made / "report")
    for text in (records.common, *(r.settings + r.log for r in records.cells)):
        assert "someone" not in text


def test_the_log_is_its_last_whole_lines(made):
    log = cell_records(read_run(made), made / "report").cells[0].log.splitlines()
    assert len(log) == page_cells.LOG_LINES
    assert log[-2] == "step 28  val/auc 4"
    assert log[-1].startswith("step 29  val/auc 4.143")


@pytest.mark.parametrize("place", ["a b/report", "report of all"])
def test_links_lead_from_the_page_to_the_files(made, place):
    page = made.parent / place
    links = cell_records(read_run(made), page).cells[0].links
    assert [name for name, _ in links] == ["config.yaml", "log.jsonl", "metrics.json"]
    page.mkdir(exist_ok=True)
    for name, address in links:
        assert " " not in address
        target = (page / unquote(address)).resolve()
        assert target == (made / "cells" / "raw-resnet50-0" / name).resolve()


def test_a_page_far_from_the_run_does_not_tell_the_folders_between(made):
    deep = made.parents[1] / "one"
    moved = deep / "two" / "three" / "run"
    moved.parent.mkdir(parents=True)
    made.rename(moved)
    assert not any(r.links for r in cell_records(read_run(moved), made.parent / "x").cells)


def test_an_id_that_leads_elsewhere_gives_nothing(made):
    secret = made / "secret"
    secret.mkdir()
    (secret / "config.yaml").write_text("password: 1\n")
    plan = json.loads((made / "benchmark.json").read_text())
    axes = plan["cells"][0]["axes"] | {"seed": 9}
    plan["cells"].append({"id": "../secret", "axes": axes})
    (made / "benchmark.json").write_text(json.dumps(plan))
    last = cell_records(read_run(made), made / "report").cells[-1]
    assert (last.links, last.settings, last.log) == ((), "", "")


def test_a_damaged_configuration_is_named(made):
    (made / "cells" / "raw-resnet50-0" / "config.yaml").write_text("a: [")
    with pytest.raises(DataError, match=r"raw-resnet50-0/config.yaml: not readable as YAML"):
        cell_records(read_run(made), made / "report")


def test_the_page_stays_small_and_says_what_it_leaves_out(made, monkeypatch):
    monkeypatch.setattr(page_cells, "TOTAL_LIMIT", 400)
    records = cell_records(read_run(made), made / "report")
    assert records.left_out == 1
    assert sum(len(r.settings) + len(r.log) for r in records.cells) <= 400


def test_the_table_has_every_cell_once_in_any_state(tmp_path, build):
    path = build(tmp_path / "r", arms=("raw", "gda"), seeds=(0,), classifiers=("resnet50",),
                 states={("gda", "resnet50", 0): "failed"}, showcase=False)  # fmt: skip
    plan = json.loads((path / "benchmark.json").read_text())
    raw, gda = plan["cells"]
    # The raw cell does not depend on r: it stands in the plan once a value.
    plan["cells"] = [
        {"id": cell["id"] + ("" if cell is raw else f"-{r}"), "axes": cell["axes"] | {"r": r}}
        for cell in (raw, gda)
        for r in (0.25, 0.5)
    ]
    (path / "benchmark.json").write_text(json.dumps(plan))
    table = cells_table(read_run(path))
    assert table.columns[1:5] == ("Arm", "Classifier", "Seed", "r")
    assert [row.cells[4] for row in table.rows] == ["0.25, 0.5", "0.25", "0.5"]
    assert list(table.frame["state"]) == ["finished", "pending", "pending"]
