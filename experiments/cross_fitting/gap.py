"""Does RHM treat the images that it was trained on like others, and does cross-fitting help?

    python experiments/cross_fitting/gap.py data.root=DIR [steps=600] [size=100]

Fits FreRec (RHM `lite`) on `size` real training images a class of the cardiomegaly set, without
cross-fitting and with three folds, with the same steps for every RHM, and compares calibrated
training images with calibrated validation images, of which no fit knows. Writes gap.csv beside
itself.
"""

import csv
import sys
from dataclasses import asdict
from pathlib import Path

from frerec.calibration import FreRec, reconstruction_gap
from frerec.config import compose_config, instantiate

COLUMNS = (
    "cross_fit",
    "unseen",
    "train_images",
    "steps",
    *(
        f"{part}_{name}"
        for part in ("train", "held_out")
        for name in ("psnr", "ssim", "lsd_high_db")
    ),
    "log_power_before",
    "log_power_after",
    "high_log_power_before",
    "high_log_power_after",
)


def main(arguments: list[str]) -> None:
    """Measure both."""
    numbers = {"steps": 600, "size": 100}
    own = [a for a in arguments if a.partition("=")[0] in numbers]
    numbers |= {key: int(value) for key, value in (a.split("=") for a in own)}
    overrides = [a for a in arguments if a not in own]
    config = compose_config(
        "benchmark",
        ["experiment=cardiomegaly", f"data.train_size={numbers['size']}", *overrides],
    )
    data = instantiate(config.data)
    data.prepare_data()
    data.setup()
    train = data.stack.select(data.rows("train"))
    held = data.stack.select(data.rows("val")[: 2 * numbers["size"]])
    with Path(__file__).with_name("gap.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for folds in (1, 3):
            frerec = FreRec(
                rhm={"network": "lite", "learning_rate": 1e-3},
                training={"steps": numbers["steps"], "eval_every": 100},
                cross_fit=folds,
            ).fit(train)
            for unseen in ("mean", "first") if folds > 1 else ("mean",):
                gap = asdict(reconstruction_gap(frerec.use(unseen=unseen), train, held))
                flat = {f"{p}_{k}": v for p in ("train", "held_out") for k, v in gap[p].items()}
                row = {**gap, **flat, "cross_fit": folds, "unseen": unseen}
                row |= {"train_images": len(train), "steps": numbers["steps"]}
                writer.writerow(
                    [f"{row[c]:.4f}" if isinstance(row[c], float) else row[c] for c in COLUMNS]
                )
                file.flush()
                print({c: row[c] for c in COLUMNS}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
