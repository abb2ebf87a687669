"""Run a table of the paper on real images and report it: what `make reproduce` calls.

Every setting is a variable of the environment, as make's variables are, so that folders may have
blanks and quotes in their names:

    TABLE     main, ablation, sensitivity or dose
    SCALE     cpu or gpu
    DATA      the folder of the sets, each in one of its own (FOLDERS)
    SETS      some of the sets, separated by blanks; by default all for main, the first for others
    MORE      further overrides of `frerec benchmark`, quoted as in a shell
    root_of_* what reads a set, in place of `data.root=DATA/FOLDER`; quoted as in a shell
    FREREC    the program

The status is that of the last command that failed; the others are run all the same.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

FOLDERS = {"cardiomegaly": "chest_xray", "brain_tumor": "brain_tumor", "retinopathy": "fundus"}
TABLES = ("main", "ablation", "sensitivity", "dose")
SCALES = ("cpu", "gpu")
# The dose needs as many withheld images as are in use: these sets have fewer than 500 and 500.
DOSE_SIZES = {"brain_tumor": 200, "retinopathy": 200}


def run_name(table: str, scale: str, name: str) -> str:
    """The run's name: a table shares the run of the main one where its first settings are those.

    Which comparisons are the main ones is read from the first values of a run's axes.
    """
    shares = table == "main" or (table, scale, name) == ("ablation", "cpu", "cardiomegaly")
    return f"paper_{scale}_{name}" + ("" if shares else f"_{table}")


def benchmark(table: str, scale: str, name: str, root: list[str], more: list[str]) -> list[str]:
    """The arguments of `frerec`."""
    experiment = f"experiment=paper/{'cpu/' if scale == 'cpu' else ''}{name}"
    own = [f"table={table}", f"name={run_name(table, scale, name)}", *root]
    size = DOSE_SIZES.get(name) if table == "dose" else None
    if size and not any(o.lstrip("+").startswith("data.train_size=") for o in more):
        own.append(f"data.train_size={size}")
    return ["benchmark", experiment, *own, *more]


def one_of(variable: str, known: tuple[str, ...], default: str) -> str:
    """A variable's value; leaves with status 2 where it is none of the known ones."""
    value = os.environ.get(variable, default)
    if value not in known:
        refuse(f"{variable}={value}: expected {', '.join(known[:-1])} or {known[-1]}")
    return value


def words(variable: str, default: str = "") -> list[str]:
    """A variable's words, quoted as in a shell."""
    try:
        return shlex.split(os.environ.get(variable, default))
    except ValueError as error:
        refuse(f"{variable}: {error}; quote it as in a shell")


def refuse(reason: str) -> None:
    """Say what is wrong, and leave."""
    print(reason, file=sys.stderr)
    raise SystemExit(2)


def main() -> int:
    """Run the sets one after the other, then report several together."""
    table, scale = one_of("TABLE", TABLES, "main"), one_of("SCALE", SCALES, "cpu")
    every = list(FOLDERS)
    sets = os.environ.get("SETS", " ".join(every if table == "main" else every[:1])).split()
    if not sets or set(sets) - set(every) or len(set(sets)) < len(sets):
        refuse(f"SETS={' '.join(sets)}: expected some of {' '.join(every)}, each once")
    data, program = Path(os.environ.get("DATA", "data")), os.environ.get("FREREC", "frerec")
    commands = []
    for name in sets:
        root = words(f"root_of_{name}") or [f"data.root={data / FOLDERS[name]}"]
        commands.append(benchmark(table, scale, name, root, words("MORE")))
    if len(sets) > 1:
        runs = [f"runs/{run_name(table, scale, name)}" for name in sets]
        commands.append(["report", *runs, f"output=runs/paper_{scale}_{table}"])
    status = 0
    for command in commands:
        print(shlex.join(["frerec", *command]), flush=True)
        status = subprocess.run([program, *command], check=False).returncode or status
    return status


if __name__ == "__main__":
    sys.exit(main())
