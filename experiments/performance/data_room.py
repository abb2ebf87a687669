"""How fast and how large the data room is: audit, cache and loaders, measured in one run.

python experiments/performance/data_room.py OUT.json [count=100000] [size=128] [work=DIR]

Draws `count` grey PNG files of `size` px (a few minutes, about 2 GB in `work`), audits them with
`frerec prepare` twice (the second time from the cache) and reads epochs of training batches
through the datamodule's loaders. Peak memory is that of the `frerec prepare` process.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EPOCHS = 3


def main(out: Path, count: int, size: int, work: Path) -> None:
    """Measure and write the figures."""
    figures: dict[str, Any] = {
        "images": count,
        "size": size,
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
    }
    root = work / "images"
    start = time.perf_counter()
    draw(root, count, size)
    print(f"drawn in {time.perf_counter() - start:.0f} s", flush=True)
    store = work / "store"
    for name in ("prepare_first", "prepare_again"):
        figures[name] = prepare(root, work / name, store)
        print(name, figures[name], flush=True)
    figures["loader_images_per_second"] = epochs(root, store)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=1))


def draw(root: Path, count: int, size: int) -> None:
    """Different images of two classes in two splits, as smooth as radiographs are."""
    parts = [(root, size, start, min(1000, count - start)) for start in range(0, count, 1000)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(_draw_some, parts), 1):
            print(f"\rdrawing {done * 1000}", end="", file=sys.stderr)


def _draw_some(part: tuple[Path, int, int, int]) -> None:
    root, size, start, count = part
    rng = np.random.default_rng(start)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    falloff = 1 / np.maximum(frequency, 1 / size) ** 1.5
    for k in range(start, start + count):
        image = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * falloff)
        image = np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)
        split = "test" if k % 5 == 0 else "train"
        path = root / split / ("a", "b")[k // 5 % 2] / f"{k:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, compress_level=1)


def prepare(root: Path, out: Path, store: Path) -> dict[str, float]:
    """Wall time and peak memory of one `frerec prepare`."""
    command = [sys.executable, "-m", "frerec", "prepare", "data=folder", f"data.root={root}"]
    start = time.perf_counter()
    process = subprocess.Popen([*command, f"out={out}", f"paths.store={store}"])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"frerec prepare ended with {os.waitstatus_to_exitcode(status)}")
    return {
        "seconds": round(seconds, 1),
        "peak_memory_MiB": round(_peak_KiB(usage) / 1024),
    }


def _peak_KiB(usage: resource.struct_rusage) -> float:  # noqa: N802
    """Linux counts KiB, macOS bytes."""
    return usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)


def epochs(root: Path, store: Path) -> dict[str, list[float]]:
    """Images a second of successive epochs of unaugmented training batches, from the cache."""
    from frerec.data.datamodules import ChestXray
    from frerec.data.sources import FolderSource

    rates: dict[str, list[float]] = {}
    for workers in (0, 2):
        data = ChestXray(
            FolderSource(root),
            image_size=None,
            cache_dir=store / "data",
            name="drawn",
            batch_size=256,
            num_workers=workers,
            augment=False,
        )
        data.prepare_data()
        data.setup()
        loader = data.train_dataloader()
        rates[f"workers={workers}"] = []
        for _ in range(EPOCHS):
            start, seen = time.perf_counter(), 0
            for images, _ in loader:
                seen += len(images)
            rates[f"workers={workers}"].append(round(seen / (time.perf_counter() - start)))
    return rates


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


if __name__ == "__main__":
    settings = dict(argument.split("=", 1) for argument in sys.argv[2:])
    with tempfile.TemporaryDirectory() as temporary:
        main(
            Path(sys.argv[1]),
            int(settings.get("count", 100_000)),
            int(settings.get("size", 128)),
            Path(settings.get("work", temporary)),
        )
