"""``frerec VERB [key=value ...]``: nothing heavy is imported before the verb is known."""

import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, ModuleType

from frerec import __version__
from frerec.errors import ConfigError, FrerecError

USER_ERROR = 2
TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Verb:
    """A subcommand: its module in ``frerec.verbs``, its config, one line of help, its examples."""

    module: str
    config: str
    summary: str
    example: str
    further: tuple[str, ...] = ()
    positional: str | None = None
    overrides: tuple[str, ...] = ()


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "benchmark",
        "benchmark",
        "the whole path on phantoms drawn on the spot; minutes on two cores",
        "frerec demo",
        overrides=("experiment=demo",),
    ),
    "benchmark": Verb(
        "benchmark",
        "benchmark",
        "plan, run and report a comparison of arms; run it again to resume",
        "frerec benchmark experiment=cardiomegaly data.root=DIR",
        further=("frerec benchmark from=runs/NAME/cells/ID/config.yaml name=again",),
    ),
    "prepare": Verb(
        "prepare",
        "prepare",
        "read a data set in its published layout, check it and report what was found",
        "frerec prepare data=nih_chestxray14 data.root=DIR out=OUT",
    ),
    "fit": Verb(
        "fit",
        "fit",
        "fit a calibrator on a folder of real images",
        "frerec fit data=folder data.root=REAL data.image_size=128 out=MODEL",
    ),
    "calibrate": Verb(
        "calibrate",
        "calibrate",
        "calibrate any generator's images: a folder, CSV table, npz or zip; resumes",
        "frerec calibrate model=MODEL input=SYNTHETIC output=OUT",
    ),
    "generate": Verb(
        "generate",
        "generate",
        "train a generator on the training split and write labelled samples",
        "frerec generate data=folder data.root=REAL data.image_size=64 out=SYNTHETIC",
    ),
    "diagnose": Verb(
        "diagnose",
        "diagnose",
        "spectra of real against synthetic images, before and after a model: one page",
        "frerec diagnose real=REAL synthetic=SYNTHETIC model=MODEL out=OUT",
    ),
    "sweep": Verb(
        "sweep",
        "sweep",
        "search over settings by validation AUC; run it again to resume, or beside to share",
        "frerec sweep sweep=shr data=folder data.root=REAL data.image_size=64 trials=20",
    ),
    "report": Verb(
        "report",
        "report",
        "tables and figures of a run beside the paper's numbers",
        "frerec report runs/NAME",
        further=("frerec report runs/A runs/B output=OUT",),
        positional="run",
    ),
}


def help_text() -> str:
    """The text of ``frerec --help``."""
    width = max(map(len, VERBS))
    lines = [
        "usage: frerec VERB [key=value ...]",
        "",
        "Frequency recalibration for generative data augmentation (arXiv 2511.12301).",
        "",
        "verbs:",
        *(f"  {name:<{width}}  {verb.summary}" for name, verb in VERBS.items()),
        "",
        "examples:",
        *(f"  {line}" for verb in VERBS.values() for line in (verb.example, *verb.further)),
        "",
        "options:",
        "  frerec VERB --help   the verb's example and its keys with their values",
        "  frerec VERB --cfg    the composed configuration as YAML, nothing is run",
        "  frerec VERB -m       every combination of values given as a,b or range(0,5)",
        "  frerec --version     the version",
        "",
        "key=value are Hydra overrides: a value is an option of a config group",
        "(classifier=resnet18) or a single setting (calibrator.shr.ratio=0.4).",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (2 for an error that the user can mend)."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show ends no work
        if getattr(stream, "errors", None) in ("strict", "surrogateescape"):
            getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(help_text())
        return 0 if arguments else USER_ERROR
    if arguments[0] in ("-V", "--version"):
        print(f"frerec {__version__}")
        return 0
    name, *rest = arguments
    if name not in VERBS:
        return _fail(f"no verb {name!r}; expected one of {', '.join(VERBS)}")
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    for noisy in ("httpx", "urllib3", "matplotlib", "fontTools", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # tracebacks of what we report anyway
    try:
        with _sigterm_as_exit():
            return _run(VERBS[name], rest)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0  # the reader, as `head`, has what it wanted
    except (TypeError, ValueError) as error:
        if os.environ.get("FREREC_DEBUG"):
            raise
        line = " ".join(str(error).split())
        return _fail(f"{type(error).__name__}: {line}; FREREC_DEBUG=1 shows where")
    except OSError as error:
        if os.environ.get("FREREC_DEBUG"):
            raise
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; check the path and its permissions")
    except FrerecError as error:
        if os.environ.get("FREREC_DEBUG"):
            raise
        return _fail(" ".join(str(error).split()))
    except (ImportError, RuntimeError, MemoryError) as error:
        if os.environ.get("FREREC_DEBUG"):
            raise
        line = " ".join(str(error).split())[:300]
        return _fail(f"{type(error).__name__}: {line}; FREREC_DEBUG=1 shows where", status=1)
    except SystemExit as stop:  # after a SIGTERM; Lightning's is without a status of its own
        if stop.code not in (None, 0, TERMINATED):
            raise
        return _fail("terminated; run the same command again to go on", status=TERMINATED)
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to go on", status=130)


def _run(verb: Verb, rest: Sequence[str]) -> int:
    from frerec.config import compose_config

    show_help = any(flag in rest for flag in ("-h", "--help"))
    show_config = "--cfg" in rest
    multirun = any(flag in rest for flag in ("-m", "--multirun"))
    overrides = list(verb.overrides)
    for argument in rest:
        if argument in ("-h", "--help", "--cfg", "-m", "--multirun"):
            continue
        if argument.startswith("-"):
            return _fail(f"no option {argument}; options of a verb are --help, --cfg and -m")
        if verb.positional and "=" not in argument:
            argument = f"{verb.positional}={argument}"
        overrides.append(argument)
    if show_help or show_config:
        from omegaconf import OmegaConf

        if show_help:
            examples = "\n  ".join((verb.example, *verb.further))
            print(f"{verb.summary}\n\n  {examples}\n\nkeys and their values:\n")
        if multirun or verb.module == "sweep":  # one configuration has no place for several values
            from frerec.sweep.grammar import is_sweep

            overrides = [override for override in overrides if not is_sweep(override)]
        print(OmegaConf.to_yaml(compose_config(verb.config, overrides)), end="")
        return 0
    from omegaconf.errors import OmegaConfBaseException

    module = importlib.import_module(f"frerec.verbs.{verb.module}")
    try:
        if multirun:
            return _multirun(verb, module, overrides)
        status: int = module.run(verb.config, overrides)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None)
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}" if key else str(error)) from error
    return status


def _multirun(verb: Verb, module: ModuleType, overrides: Sequence[str]) -> int:
    """Hydra's grid: axes of one comparison, or one job a combination."""
    from frerec.sweep.multirun import as_axes, run_jobs

    if verb.module == "sweep":
        raise ConfigError("-m: a sweep searches by itself; leave -m out")
    if verb.module != "benchmark":
        return run_jobs(module.run, verb.config, overrides)
    status: int = module.run(verb.config, as_axes(verb.config, overrides))
    return status


@contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM raises SystemExit, so that what is begun is cleaned up and the last line written.

    A handler that somebody else has set stays; other threads than the main one can set none.
    """
    owner = os.getpid()

    def stop(number: int, _frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker ends as it would without this
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        raise SystemExit(TERMINATED)

    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(message: str, status: int = USER_ERROR) -> int:
    print(f"frerec: error: {message}", file=sys.stderr)
    return status


def console() -> None:
    """Entry point of the ``frerec`` script."""
    sys.exit(main())


if __name__ == "__main__":
    console()
