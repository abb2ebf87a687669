"""The main table in one line a data set and train size, from a report's overview.csv.

python experiments/paper/compact.py OVERVIEW.csv
"""

import sys

import pandas as pd

ARMS = ("raw", "gda", "frerec", "raw_frerec", "gda_radial", "ceiling")


def text(rows: pd.DataFrame, arm: str, seeds: int) -> str:
    """Mean and interval of an arm; the number of its seeds where it is another one than raw's."""
    row = rows[rows["arm"] == arm]
    if row.empty or not int(row["seeds"].iloc[0]):
        return "–"
    mean, low, high = (float(row[key].iloc[0]) for key in ("auc", "low", "high"))
    count = int(row["seeds"].iloc[0])
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" + (f" ({count})" if count != seeds else "")


def main(path: str) -> None:
    """Print Markdown."""
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])
    print("| data set, real images a class | generator | seeds |", " | ".join(ARMS), "| headroom |")
    print("| --- | --- | --- |" + " --- |" * (len(ARMS) + 1))
    axes = ["data", "data.train_size", "generator"]
    for (data, size, made), rows in table.fillna({"generator": "–"}).groupby(axes, sort=False):
        raw = rows[rows["arm"] == "raw"].iloc[0]
        room = "–" if pd.isna(raw["headroom"]) else (
            f"{raw['headroom']:+.3f}, {raw['headroom_to_sd']:.1f} sd")  # fmt: skip
        seeds = int(raw["seeds"])
        cells = " | ".join(text(rows, arm, seeds) for arm in ARMS)
        print(f"| {data}, {size} | {made} | {seeds} | {cells} | {room} |".replace("-", "−"))


if __name__ == "__main__":
    main(sys.argv[1])
