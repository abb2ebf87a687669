"""The run of a `wandb agent` that started this process: it gets the trial's value."""

import logging
import os
from collections.abc import Mapping
from typing import Any

from optuna.trial import Trial, TrialState

from frerec.tracking.private import without_paths

log = logging.getLogger(__name__)


class Agent:
    """W&B's run of one trial; a failure of W&B is reported and never stops the work.

    Args:
        group: the sweep's name.
        config: resolved, of a cell; paths are taken out of it here.
    """

    def __init__(self, group: str, config: Mapping[str, Any]) -> None:
        self._run: Any = None
        try:
            import wandb

            from frerec.tracking.wandb_run import quiet_settings

            mode: Any = os.environ.get("WANDB_MODE")
            self._run = wandb.init(
                group=group,
                job_type="trial",
                config={"config": without_paths(dict(config))},
                mode=mode,  # W&B reads its environment once a process, perhaps before
                settings=quiet_settings(30.0),
            )
        except Exception as error:
            log.warning("W&B is off for this trial (%s); the study has its value", error)

    @classmethod
    def of_environment(cls, group: str, config: Mapping[str, Any]) -> "Agent | None":
        """The agent's run, or None where no agent started this process."""
        return cls(group, config) if os.environ.get("WANDB_SWEEP_ID") else None

    def report(self, objective: str, value: float | None, state: TrialState, trial: Trial) -> None:
        """Write the value and its parts, and close the run; a failed trial's run is marked.

        A trial that was given up has no value here: its mean is over fewer seeds than others'.
        """
        if self._run is None:
            return
        try:
            attributes = trial.user_attrs
            parts = {key: attributes.get(key, []) for key in ("values", "cells")}
            parts |= {f"best_val/{k}": v for k, v in attributes.get("val", {}).items()}
            parts |= {"trial": trial.number, "state": state.name.lower()}
            if value is not None and state == TrialState.COMPLETE:
                self._run.log({objective: value})
                parts[objective] = value
            self._run.summary.update(parts)
            self._run.finish(exit_code=1 if state == TrialState.FAIL else 0)
        except Exception as error:
            log.warning("W&B took no value (%s); the study has it", error)
