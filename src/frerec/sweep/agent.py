"""The run of a `wandb agent` that started this process: it gets the trial's value."""

import logging
import os
from typing import Any

from optuna.trial import Trial

log = logging.getLogger(__name__)


class Agent:
    """W&B's run of one trial; a failure of W&B is reported and never stops the work."""

    def __init__(self) -> None:
        self._run: Any = None
        try:
            import wandb

            from frerec.tracking.wandb_run import quiet_settings

            self._run = wandb.init(settings=quiet_settings(30.0))
        except Exception as error:
            log.warning("W&B is off for this trial (%s); the study has its value", error)

    @classmethod
    def of_environment(cls) -> "Agent | None":
        """The agent's run, or None where no agent started this process."""
        return cls() if os.environ.get("WANDB_SWEEP_ID") else None

    def report(self, objective: str, value: float | None, trial: Trial) -> None:
        """Write the value and its parts, and close the run; one without a value is a failure."""
        if self._run is None:
            return
        try:
            if value is not None:
                self._run.log({objective: value})
                parts = {"trial": trial.number, "values": trial.user_attrs.get("values", [])}
                self._run.summary.update({objective: value, **parts})
            self._run.finish(exit_code=0 if value is not None else 1)
        except Exception as error:
            log.warning("W&B took no value (%s); the study has it", error)
