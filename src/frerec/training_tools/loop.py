"""A resumable training loop of a fixed number of steps, for classifiers and generators.

Lightning runs the steps; this module decides the order of the images, the randomness of every
step, when to evaluate, what to keep on disk and how to go on after a kill. One Lightning epoch is
one evaluation period. Lightning's own loop state is not used for resuming, because its mid-epoch
resume begins the data again: everything here derives from the seed and from one step counter.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from frerec.errors import ConfigError, DataError
from frerec.training_tools.checkpoints import AtomicCheckpointIO, load_checkpoint
from frerec.training_tools.checks import check_machine, check_positive
from frerec.training_tools.draws import STEP, DrawSampler, derive_seed
from frerec.training_tools.records import JsonlLogger, write_json


@dataclass(frozen=True)
class LoopState:
    """Where a run stands: ``seconds`` is summed over resumes, ``values`` the last means logged."""

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_score: float = -math.inf
    values: tuple[tuple[str, float], ...] = ()


class _Loop(pl.Callback):
    """Counts the steps, seeds each, logs, and keeps ``last.ckpt`` and the best checkpoint."""

    def __init__(
        self,
        directory: Path,
        sampler: DrawSampler,
        *,
        state: LoopState,
        restore: Mapping[str, Any] | None,
        monitor: str | None,
        log_every: int,
        progress: bool,
        title: str,
    ) -> None:
        self.directory, self.sampler, self.restore = directory, sampler, restore
        self.state, self.monitor, self.log_every = state, monitor, log_every
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        self.bar = tqdm(
            total=sampler.steps, initial=state.step, desc=title, unit="step", disable=not progress
        )
        self.before, self.began = state.seconds, time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.state)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.began = time.monotonic()
        if self.restore is None:
            return
        pl_module.load_state_dict(self.restore["state_dict"])
        trainer.strategy.load_optimizer_state_dict(self.restore)
        for config, saved in zip(
            trainer.lr_scheduler_configs, self.restore["lr_schedulers"], strict=True
        ):
            config.scheduler.load_state_dict(saved)
        scaler = self.restore.get(type(trainer.precision_plugin).__qualname__)
        if scaler is not None:
            trainer.precision_plugin.load_state_dict(scaler)
        self.restore = None  # the tensors are copied; free them

    def on_train_epoch_start(self, *_args: Any) -> None:
        self.sampler.start = self.state.step

    def on_train_batch_start(self, *_args: Any) -> None:
        # Dropout, stochastic depth and sampling noise follow (seed, step), resumed or not.
        torch.manual_seed(derive_seed(self.sampler.seed, STEP, self.state.step))

    def on_train_batch_end(
        self, trainer: pl.Trainer, _module: pl.LightningModule, outputs: Any, *_args: Any
    ) -> None:
        self.state = replace(self.state, step=self.state.step + 1)
        values = outputs if isinstance(outputs, Mapping) else {"loss": outputs}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + value.detach().float()
        self.summed += 1
        self.bar.update()
        step = self.state.step
        if step % self.log_every == 0 or step == self.sampler.steps:
            self._log_training(trainer)
        if step == self.sampler.steps:
            trainer.should_stop = True  # ends the period early, after a last evaluation

    def _log_training(self, trainer: pl.Trainer) -> None:
        if self.summed == 0:
            return
        means = {f"train/{name}": float(total) / self.summed for name, total in self.sums.items()}
        self.sums, self.summed = {}, 0
        if not math.isfinite(means["train/loss"]):
            raise ConfigError(
                f"training diverged: the loss is {means['train/loss']} before step"
                f" {self.state.step}; lower the learning rate (lr) or use precision=32-true"
            )
        self.state = replace(self.state, values=tuple(means.items()))
        means["train/lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        self._send(trainer, means)
        self.bar.set_postfix_str(f"loss {means['train/loss']:.4g}", refresh=False)

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        self._log_training(trainer)
        step, metrics = self.state.step, trainer.callback_metrics
        evaluated = {name: float(value) for name, value in metrics.items() if "/" in name}
        if evaluated:
            self._send(trainer, evaluated)
        if self.monitor is not None and evaluated[self.monitor] > self.state.best_score:
            score = evaluated[self.monitor]
            self.state = replace(self.state, best_step=step, best_score=score)
            trainer.save_checkpoint(best_checkpoint(self.directory, step), weights_only=True)
        seconds = self.before + time.monotonic() - self.began
        self.state = replace(self.state, seconds=seconds)
        trainer.save_checkpoint(self.directory / "last.ckpt")
        # Only now is the former best no longer needed by any resume.
        for path in self.directory.glob("best-*.ckpt"):
            if path != best_checkpoint(self.directory, self.state.best_step):
                path.unlink()

    def _send(self, trainer: pl.Trainer, values: Mapping[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(dict(values), step=self.state.step)


def best_checkpoint(directory: Path, step: int) -> Path:
    """The name of the best checkpoint, made at ``step``."""
    return directory / f"best-{step:07d}.ckpt"


def run_training(
    model: pl.LightningModule,
    images: Dataset[Any],
    validation: DataLoader[Any] | None,
    *,
    directory: Path,
    steps: int,
    batch_size: int,
    seed: int,
    eval_every: int,
    log_every: int = 10,
    monitor: str | None = None,
    num_workers: int = 0,
    precision: str = "32-true",
    accelerator: str = "auto",
    gradient_clip: float | None = None,
    loggers: Sequence[Logger] = (),
    progress: bool = False,
    title: str = "training",
    callbacks: Sequence[pl.Callback] = (),
    settings: Mapping[str, Any] | None = None,
) -> LoopState:
    """Train ``model`` for exactly ``steps`` optimiser steps, going on from ``directory/last.ckpt``.

    ``images`` is indexed by :class:`Draw`, as :class:`AugmentedImages` is.
    ``model.total_steps`` is set to ``steps`` before the optimisers are made. The model is left
    with its last weights. On a CPU a killed and resumed run ends bitwise where an uninterrupted
    one does. ``directory`` gets ``plan.json``, ``log.jsonl`` and the checkpoints. ``settings`` are
    further plain values that shape the result: a run is not resumed with others. The model's
    ``sampling_arguments`` may differ, and ``eval_every`` where nothing is monitored.

    Raises:
        ConfigError: If a number is out of range, or ``directory`` holds another plan's run.
        DataError: If the training set is empty or ``last.ckpt`` is damaged.
    """
    check_machine(precision, accelerator)
    check_positive(steps=steps, batch_size=batch_size, eval_every=eval_every)
    count = len(images)  # type: ignore[arg-type]
    if count == 0:
        raise DataError("the training set is empty; check the split and the labels")
    directory.mkdir(parents=True, exist_ok=True)
    sampling: tuple[str, ...] = getattr(model, "sampling_arguments", ())  # they shape no weight
    hyperparameters = {k: v for k, v in dict(model.hparams).items() if k not in sampling}
    plan: dict[str, Any] = {"steps": steps, "batch_size": batch_size, "seed": seed}
    if monitor is not None:  # it decides which weights are kept; others do not depend on it
        plan["eval_every"] = eval_every
    plan |= {"images": count, "precision": precision, "model": hyperparameters}
    plan |= {"gradient_clip": gradient_clip} | dict(settings or {})
    _check_plan(directory / "plan.json", plan)

    last = directory / "last.ckpt"
    checkpoint = load_checkpoint(last) if last.exists() else None
    state = LoopState(**checkpoint["callbacks"]["_Loop"]) if checkpoint else LoopState()
    if not any(isinstance(logger, JsonlLogger) for logger in loggers):
        loggers = [JsonlLogger(directory / "log.jsonl"), *loggers]
    for logger in loggers:
        if isinstance(logger, JsonlLogger):
            logger.rewind(state.step)
    if checkpoint is not None and state.step >= steps:
        model.load_state_dict(checkpoint["state_dict"])
        return state

    sampler = DrawSampler(count, batch_size=batch_size, steps=steps, period=eval_every, seed=seed)
    sampler.start = state.step
    loader: DataLoader[Any] = DataLoader(
        images,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
    )
    loop = _Loop(
        directory,
        sampler,
        state=state,
        restore=checkpoint,
        monitor=monitor,
        log_every=log_every,
        progress=progress,
        title=title,
    )
    model.total_steps = steps  # type: ignore[assignment]
    options: dict[str, Any] = {"precision": precision, "gradient_clip_val": gradient_clip}
    with _quiet_lightning(), torch.random.fork_rng():
        trainer = pl.Trainer(
            max_steps=-1,
            max_epochs=-1,
            accelerator=accelerator,
            devices=1,
            logger=list(loggers),
            callbacks=[*callbacks, loop],  # the checkpoint comes last
            plugins=[AtomicCheckpointIO()],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            default_root_dir=directory,
            **options,
        )
        try:
            trainer.fit(model, loader, validation)
        except SystemExit as stop:
            # Lightning turns Ctrl-C into exit status 1 and leaves the signal ignored.
            if not isinstance(stop.__context__, KeyboardInterrupt):
                raise
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        finally:
            loop.bar.close()
    return loop.state


def _check_plan(path: Path, plan: Mapping[str, Any]) -> None:
    """Write the plan, or refuse to go on with a run that another plan began."""
    wanted = json.loads(json.dumps(plan))
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [k for k in {**found, **wanted} if found.get(k) != wanted.get(k)]
        if differing:
            raise ConfigError(
                f"{path.parent}: holds a training with another {' and '.join(differing)};"
                " delete that folder or name another one"
            )
    write_json(path, wanted)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Mute Lightning's advice: its epochs are our evaluation periods, so most of it misleads."""
    names = ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero")
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="lightning_fabric")
            warnings.filterwarnings("ignore", message="isinstance.*LeafSpec")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
