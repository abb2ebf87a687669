"""A study that workers share: which trial is next, whose it is, and how it ended."""

import json
import logging
import secrets
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from frerec.errors import ConfigError
from frerec.sweep.samplers import next_combination, pruner_for, sampler_for
from frerec.sweep.settings import Settings, check_same
from frerec.sweep.storage import Shared, open_storage

log = logging.getLogger(__name__)

RECORD = "frerec"  # the study's attribute that says under which settings it was made
IDENTITY = "frerec.identity"  # the study's attribute that tells it from others of its name


class SharedStudy:
    """One worker's hold on a study.

    Args:
        settings: of the sweep.
        record: all that shapes a trial's value; a study made under another is refused.
        folder: where the SQLite file lies if no storage is given.

    Raises:
        ConfigError: If the storage cannot be opened, or the study was made under other settings.
    """

    def __init__(self, settings: Settings, record: Mapping[str, Any], folder: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.settings = settings
        self.shared: Shared = open_storage(settings.storage, settings.study, folder)
        self.claims = self.shared.claims
        now = json.loads(json.dumps(record))
        with self.claims.exclusive():
            self.study = optuna.create_study(
                study_name=settings.study,
                storage=self.shared.storage,
                direction="maximize" if settings.direction == "maximize" else "minimize",
                pruner=pruner_for(settings.pruner, len(settings.seeds)),
                load_if_exists=True,
            )
            before = self.study.user_attrs.get(RECORD)
            if before is None:
                if self.study.get_trials(deepcopy=False):
                    raise ConfigError(
                        f"study={settings.study}: its trials are not of `frerec sweep`; give"
                        " another study="
                    )
                self.study.set_user_attr(RECORD, now)
            else:
                check_same(before, now, settings.study)
            if IDENTITY not in self.study.user_attrs:
                self.study.set_user_attr(IDENTITY, secrets.token_hex(8))
            self.identity = str(self.study.user_attrs[IDENTITY])

    def trials(self) -> list[FrozenTrial]:
        """All trials so far, by number."""
        return self.study.get_trials(deepcopy=False)

    def next_trial(self) -> Trial | None:
        """The next trial for this worker, claimed, with all its values.

        One that a dead worker left comes first, under its own number and with its own values; a
        new one is drawn while the study has fewer than it may have, the failed ones not counted.
        None where there is no more.
        """
        with self.claims.exclusive():
            trials = self.trials()
            left = self._left_by_the_dead(trials)
            if left is not None:
                log.info("trial %d: taken up again, its worker ended", left.number)
                return self._again(left)
            if sum(trial.state != TrialState.FAIL for trial in trials) >= self.settings.trials:
                return None
            drawn = self._draw(trials)
            return None if drawn is None else self._new(drawn)

    def given_trial(self, values: Mapping[str, Any]) -> Trial:
        """A trial of given values, claimed; one that a dead worker left, where they are its own."""
        with self.claims.exclusive():
            same = [t for t in self.trials() if t.params == dict(values)]
            left = self._left_by_the_dead(same)
            return self._new(values) if left is None else self._again(left)

    def finish(self, trial: Trial, value: float | None, state: TrialState) -> None:
        """Record how a trial ended, and give it back."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # told twice, after a lost connection
            complete = state == TrialState.COMPLETE
            values = value if complete else None
            self.study.tell(trial, values, state=state, skip_if_finished=True)
        self.claims.release(trial.number)

    def _left_by_the_dead(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """The first running trial that no worker claims; it is claimed then."""
        for trial in trials:
            if trial.state == TrialState.RUNNING and self.claims.claim(trial.number):
                if self.trials()[trial.number].state == TrialState.RUNNING:
                    return trial
                self.claims.release(trial.number)  # its worker has finished it meanwhile
        return None

    def _draw(self, trials: Sequence[FrozenTrial]) -> dict[str, Any] | None:
        """The values of a new trial; None where a grid has no combination left.

        They are drawn in a copy of the study in memory: a worker that is killed meanwhile leaves
        no half of a trial, and the next one draws the same.
        """
        s = self.settings
        if s.sampler == "grid":
            return next_combination(s.space, trials)
        copy = optuna.create_study(
            direction="maximize" if s.direction == "maximize" else "minimize",
            sampler=sampler_for(s.sampler, s.sampler_seed, len(trials)),
        )
        copy.add_trials(trials)
        trial = copy.ask()
        return {parameter.key: parameter.suggest(trial) for parameter in s.space}

    def _new(self, values: Mapping[str, Any]) -> Trial:
        """A trial of these values, written as a whole and claimed; others are kept out."""
        distributions = {parameter.key: parameter.distribution for parameter in self.settings.space}
        self.study.add_trial(
            create_trial(state=TrialState.RUNNING, params=dict(values), distributions=distributions)
        )
        made = self.trials()[-1]
        self.claims.claim(made.number)
        return self._again(made)

    def _again(self, known: FrozenTrial) -> Trial:
        """A trial of the study, to report to."""
        return Trial(self.study, known._trial_id)
