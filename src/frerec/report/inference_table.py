"""How long calibration takes, beside the paper's times on its own device."""

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from frerec.report.blocks import axis_titles
from frerec.report.parsing import number
from frerec.report.published import INFERENCE, INFERENCE_DEVICE, InferenceTime
from frerec.report.run import Run
from frerec.report.tabular import EMPTY, Row, Table, fixed, signed, thousands

_PAPERS = INFERENCE[0]  # FreRec's own
_STAGES = ["shr", "rhm"]
# The whole name: a laptop's RTX 4090 and the RTX 4090 D are other chips.
_SAME_DEVICE = re.compile(rf"(nvidia )?(geforce )?{re.escape(INFERENCE_DEVICE)}", re.IGNORECASE)
_COLUMNS: Mapping[str, str] = {
    "method": "Method",
    "stages": "Stages",
    "network": "Network",
    "device": "Device",
    "size": "Image size",
    "batch": "Batch",
    "threads": "Threads",
    "precision": "Precision",
    "images": "Images",
    "ms": "ms an image [quartiles]",
    "paper": "Paper's ms",
    "gap": "Ours − paper's",
}
_WORDS = ("method", "stages", "network", "device", "precision")


def inference_table(run: Run) -> Table:
    """Milliseconds an image of each calibrator, then the paper's rows; empty without our own."""
    entries = [
        entry for source in run.sources if source.showcase for entry in source.showcase.inference
    ]
    rows = [Row("Ours", _cells(entry)) for entry in entries]
    records = [_record(entry) for entry in entries]
    if entries:
        rows += [Row("The paper's", _paper_cells(time)) for time in INFERENCE]
        records += [_paper_record(time) for time in INFERENCE]
    return Table(
        key="inference",
        title="Inference time",
        caption="Milliseconds to calibrate one image: median over the images that were timed, and "
        "their quartiles, the first ones not counted; beside the paper's, measured on an "
        f"{INFERENCE_DEVICE}.",
        group_title="Whose",
        columns=tuple(_COLUMNS.values()),
        rows=tuple(rows),
        frame=pd.DataFrame(records),
        notes=(
            f"A difference is formed for FreRec on an {INFERENCE_DEVICE} alone: times of other "
            "devices do not compare. The paper says neither the image size nor the batch.",
        ),
        wordy=tuple(i for i, key in enumerate(_COLUMNS) if key in _WORDS),
        section="inference",
    )


def _gap(entry: Mapping[str, Any]) -> tuple[float, float] | None:
    """To the slow and to the fast end of the paper's range."""
    time = number(entry.get("ms_per_image"))
    device = " ".join(str(entry.get("device")).split())
    same = _SAME_DEVICE.fullmatch(device) is not None and entry.get("stages") == _STAGES
    return (time - _PAPERS.high, time - _PAPERS.low) if same and time is not None else None


def _cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    gap = _gap(entry)
    name = str(entry["method"])
    extra = entry.get("extra")
    if isinstance(extra, dict) and extra:
        name += "".join(f", {title}" for title in axis_titles(extra.items()))
    return _in_order(
        {
            "method": name,
            "stages": _text(", ".join(map(str, entry.get("stages") or []))),
            "size": _size(entry),
            "images": thousands(number(entry.get("images"))),
            "ms": _milliseconds(entry),
            "paper": _range(_PAPERS) if entry.get("stages") == _STAGES else EMPTY,
            "gap": EMPTY if gap is None else f"{signed(gap[0], 1)} to {signed(gap[1], 1)}",
        }
        | {key: _text(entry.get(key)) for key in ("network", "device", "batch", "threads")}
        | {"precision": _text(entry.get("precision"))}
    )


def _paper_cells(time: InferenceTime) -> tuple[str, ...]:
    return _in_order({"method": time.method, "device": INFERENCE_DEVICE, "paper": _range(time)})


def _in_order(texts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(texts.get(key, EMPTY) for key in _COLUMNS)


def _milliseconds(entry: Mapping[str, Any]) -> str:
    median, low, high = (number(entry.get(key)) for key in ("ms_per_image", "ms_low", "ms_high"))
    quartiles = EMPTY if low is None or high is None else f"{fixed(low, 1)}, {fixed(high, 1)}"
    return EMPTY if median is None else f"{fixed(median, 1)} [{quartiles}]"


def _range(time: InferenceTime) -> str:
    low, high = fixed(time.low, 0), fixed(time.high, 0)
    return ("≈ " if time.approximate else "") + (low if low == high else f"{low} to {high}")


def _size(entry: Mapping[str, Any]) -> str:
    """Height x width x channels, of a size that is one number or two."""
    size, channels = entry.get("size"), entry.get("channels")
    sides = size if isinstance(size, list) else [size, size]
    known = [str(part) for part in (*sides, channels) if part is not None]
    return " × ".join(known) or EMPTY


def _text(value: object) -> str:
    return EMPTY if value in (None, "") else str(value)


def _record(entry: Mapping[str, Any]) -> dict[str, object]:
    gap = _gap(entry)
    sides = size if isinstance(size := entry.get("size"), list) else [size, size]
    full = entry.get("stages") == _STAGES
    return {
        "source": "ours",
        "method": entry["method"],
        "data": entry.get("data"),
        "axes": ", ".join(f"{k}={v}" for k, v in (entry.get("extra") or {}).items()),
        "stages": ", ".join(map(str, entry.get("stages") or [])),
        "network": entry.get("network"),
        "device": entry.get("device"),
        "height": sides[0],
        "width": sides[-1],
        "channels": entry.get("channels"),
        "batch": entry.get("batch"),
        "threads": entry.get("threads"),
        "precision": entry.get("precision"),
        "images": entry.get("images"),
        "ms_per_image": number(entry.get("ms_per_image")),
        "ms_low": number(entry.get("ms_low")),
        "ms_high": number(entry.get("ms_high")),
        "paper_ms_low": _PAPERS.low if full else None,
        "paper_ms_high": _PAPERS.high if full else None,
        "difference_low": gap[0] if gap else None,
        "difference_high": gap[1] if gap else None,
    }


def _paper_record(time: InferenceTime) -> dict[str, object]:
    return {
        "source": "paper",
        "method": time.method,
        "device": INFERENCE_DEVICE,
        "paper_ms_low": time.low,
        "paper_ms_high": time.high,
        "paper_approximate": time.approximate,
    }
