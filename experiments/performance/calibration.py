"""From pytest-benchmark's JSON to the record: ratios, targets met or not, and a Markdown table.

python experiments/performance/calibration.py RAW.json OUT.json [GPU.json]

Writes OUT.json and OUT.md. The fastest round of each benchmark counts, because everything else on
a machine can only slow a round down; ratios are between benchmarks of one run. GPU.json is what
gpu.py wrote. Nothing in the record depends on the date.
"""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Records = list[dict[str, Any]]


def record(raw: dict[str, Any], gpu: dict[str, Any] | None = None) -> dict[str, Any]:
    """The figures of a run.

    Args:
        raw: What ``pytest --benchmark-json`` wrote.
        gpu: What gpu.py wrote, or None.

    Returns:
        ``machine``, ``records`` (value in ms a unit, and its ratio to the reference of its group),
        ``targets``, and ``gpu``.
    """
    records: Records = []
    for benchmark in raw["benchmarks"]:
        extra, stats = benchmark["extra_info"], benchmark["stats"]
        scale = 1000 / extra["per"]
        records.append(
            {
                "group": benchmark["group"],
                "name": extra["name"],
                "value": _round(stats["min"] * scale),
                "median": _round(stats["median"] * scale),
                "unit": extra["unit"],
                "rounds": stats["rounds"],
                "reference": extra["reference"],
                **({"facts": extra["facts"]} if extra["facts"] else {}),
            }
        )
    for item in records:
        if item["reference"] is not None:
            reference = _value(records, item["group"], item["reference"])
            item["ratio"] = None if reference is None else _round(item["value"] / reference)
    result = {"machine": raw["machine_info"]["frerec"], "records": records}
    result["targets"] = targets(records, gpu)
    if gpu is not None:
        result["gpu"] = gpu
    return result


def targets(records: Records, gpu: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Each target whose figure was measured, and whether it is met."""
    found = []

    def add(what: str, figure: float | None, limit: float, met: Callable[[float], bool]) -> None:
        if figure is not None:
            found.append(
                {"what": what, "figure": _round(figure), "target": limit, "met": met(figure)}
            )

    search = "search: a pair of images"
    brute, fast = _value(records, search, "pytorch-msssim"), _value(records, search, "fast")
    add(
        "fast search: times faster than brute force with pytorch-msssim, at least",
        None if brute is None or fast is None else brute / fast,
        100,
        lambda x: x >= 100,
    )
    recall = next((r["facts"]["recall"] for r in records if "recall" in r.get("facts", {})), None)
    add("fast search: recall on drawn images, at least", recall, 0.98, lambda x: x >= 0.98)
    exponent, growth = _growth(records)
    # Linear is an exponent of 1; a tenth is what two timings on a shared machine may differ by.
    add("fast search: exponent of its time in the bank's size", exponent, 1.1, lambda x: x <= 1.1)
    add(
        "fast search: memory beyond bank and queries, largest bank to smallest",
        growth,
        1.1,
        lambda x: x <= 1.1,
    )
    for item in records:
        if item["name"] == "with FESA" and item.get("ratio") is not None:
            add(f"{item['group']}: FESA's cost, below", item["ratio"], 1.35, lambda x: x < 1.35)
        if item["name"] == "FreRec lite, end to end":
            add(f"{item['group']}: ms an image, at most", item["value"], 60, lambda x: x <= 60)
    if gpu is not None:
        best = gpu.get("best_end_to_end", {}).get("ms_an_image")
        add("GPU: SHR and RHM end to end, ms an image, at most", best, 5, lambda x: x <= 5)
    return found


def _growth(records: Records) -> tuple[float | None, float | None]:
    banks = [r for r in records if r["name"].startswith("bank of ")]
    banks.sort(key=_bank_size)
    if len(banks) < 2:
        return None, None
    first, last = banks[0], banks[-1]
    sizes = _bank_size(last) / _bank_size(first)
    times = last["value"] / first["value"] * sizes
    memory = [item["facts"].get("memory_MiB") for item in (first, last)]
    share = memory[1] / memory[0] if all(memory) else None
    return math.log(times) / math.log(sizes), share


def _bank_size(item: dict[str, Any]) -> int:
    return int(item["name"].removeprefix("bank of "))


def _value(records: Records, group: str, name: str) -> float | None:
    """The value of a benchmark, None where it was not run."""
    same = (r["value"] for r in records if (r["group"], r["name"]) == (group, name))
    return next(same, None)


def _round(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def markdown(result: dict[str, Any]) -> str:
    """The record as tables."""
    machine = ", ".join(f"{key} {value}" for key, value in result["machine"].items())
    lines = [
        f"Machine: {machine}.",
        "",
        "| target | figure | limit | |",
        "| --- | ---: | ---: | --- |",
    ]
    for item in result["targets"]:
        met = "met" if item["met"] else "**not met**"
        lines.append(f"| {item['what']} | {item['figure']:g} | {item['target']:g} | {met} |")
    groups = list(dict.fromkeys(item["group"] for item in result["records"]))
    for group in groups:
        members = [item for item in result["records"] if item["group"] == group]
        lines += [
            "",
            f"**{group}**",
            "",
            "| | time | ratio | facts |",
            "| --- | ---: | ---: | --- |",
        ]
        for item in members:
            ratio = item.get("ratio")
            beside = "" if ratio is None else f"{ratio:g} x {item['reference']}"
            facts = ", ".join(f"{k} {v}" for k, v in item.get("facts", {}).items())
            time = f"{item['value']:g} {item['unit']}"
            lines.append(f"| {item['name']} | {time} | {beside} | {facts} |")
    if "gpu" in result:
        gpu = result["gpu"]
        machine = ", ".join(f"{key} {value}" for key, value in gpu["machine"].items())
        lines += ["", f"**GPU** ({machine})", "", f"Settings: {gpu['settings']}", ""]
        lines += ["| | ms an image | peak memory, MiB | facts |", "| --- | ---: | ---: | --- |"]
        for item in gpu["records"]:
            time = item.get("ms_an_image")
            known = ("name", "ms_an_image", "peak_MiB")
            facts = ", ".join(f"{k} {v}" for k, v in item.items() if k not in known)
            shown = "" if time is None else f"{time:g}"
            lines.append(f"| {item['name']} | {shown} | {item.get('peak_MiB', '')} | {facts} |")
    return "\n".join(lines) + "\n"


def main(raw: Path, out: Path, gpu: Path | None) -> None:
    """Write the record and print its tables."""
    figures = None if gpu is None else json.loads(gpu.read_text(encoding="utf-8"))
    result = record(json.loads(raw.read_text(encoding="utf-8")), figures)
    table = markdown(result)
    for path, text in ((out, json.dumps(result, indent=1) + "\n"), (out.with_suffix(".md"), table)):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    print(table)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    main(
        *(Path(argument) for argument in sys.argv[1:3]), Path(sys.argv[3]) if sys.argv[3:] else None
    )
