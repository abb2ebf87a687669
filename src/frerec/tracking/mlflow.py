"""MLflow: an experiment a group, a run a cell; in a local SQLite store unless a server is named."""

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from filelock import FileLock
from safetensors.torch import save_file
from torch import Tensor

from frerec.config import flat_items
from frerec.tracking.base import (
    UNREACHABLE,
    RunInfo,
    TrackedRun,
    Tracker,
    is_unreachable,
    require_package,
)

ID = "frerec.id"  # the tag by which a resumed run is found
BATCH = 100  # MLflow's limit of parameters a call
LONGEST_VALUE = 500


class MlflowTracker(Tracker):
    """Makes and closes MLflow runs, by the client alone: MLflow's own way records the user's name.

    Args:
        tracking_uri: A server's address or a store's, or None for ``folder/mlflow.db``.
        folder: Where the local store lies.
        timeout: Seconds to wait for a server; one that does not answer is asked once a process,
            and one that refuses a single call is asked again by the next run.
        settings: See :class:`frerec.tracking.base.Tracker`.
    """

    def __init__(
        self,
        *,
        tracking_uri: str | None = None,
        folder: str = "runs",
        timeout: float = 30.0,
        **settings: Any,
    ) -> None:
        require_package("mlflow", "mlflow")
        super().__init__(**settings)
        self.tracking_uri, self.folder, self.timeout = tracking_uri, folder, timeout

    def _start(self, info: RunInfo) -> TrackedRun:
        address = self.tracking_uri or "a local file"
        if address in UNREACHABLE:
            return TrackedRun()
        try:
            return MlflowRun(self._client(), info, self)
        except Exception as error:
            if is_unreachable(error):
                UNREACHABLE.add(address)
            raise

    def artifact_location(self) -> str | None:
        """Where artifacts lie: beside the local store, or where the server wants them."""
        return None if self.tracking_uri else (self._home() / "mlflow-artifacts").as_uri()

    def lock(self) -> AbstractContextManager[Any]:
        """One process at a time in the local store; a server sees to that itself."""
        if self.tracking_uri:
            return nullcontext()
        self._home().mkdir(parents=True, exist_ok=True)
        return FileLock(self._home() / "mlflow.lock")

    def _home(self) -> Path:
        return Path(self.folder).resolve()

    def _client(self) -> Any:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before it is imported
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(self.timeout))))
        from mlflow import MlflowClient

        if self.tracking_uri:
            return MlflowClient(tracking_uri=self.tracking_uri)
        with self.lock():  # one process makes the tables
            database = (self._home() / "mlflow.db").as_posix()
            client = MlflowClient(tracking_uri=f"sqlite:///{database}")
            client.search_experiments(max_results=1)
        return client


class MlflowRun(TrackedRun):
    """An MLflow run under the tracker's contract."""

    def __init__(self, client: Any, info: RunInfo, tracker: MlflowTracker) -> None:
        super().__init__("MLflow", log_images=tracker.log_images, log_model=tracker.log_model)
        self._client, self._address = client, tracker.tracking_uri or "a local file"
        with tracker.lock():
            number = _experiment(client, info.group, tracker.artifact_location())
        known = client.search_runs([number], f"tags.`{ID}` = '{info.id}'", max_results=1)
        if known:  # a resumed cell goes on in its own run
            self._id = known[0].info.run_id
            client.update_run(self._id, status="RUNNING")
            return
        tags = {ID: info.id, "job_type": info.job_type} | {
            f"tag.{tag}": "true" for tag in info.tags
        }
        self._id = client.create_run(number, run_name=info.name, tags=tags).info.run_id
        from mlflow.entities import Param

        params = [Param(k, str(v)[:LONGEST_VALUE]) for k, v in _leaves(info.config)]
        for start in range(0, len(params), BATCH):
            client.log_batch(self._id, params=params[start : start + BATCH])

    def _take_metrics(self, values: Mapping[str, float], step: int | None) -> None:
        from mlflow.entities import Metric

        now = round(1000 * time.time())
        metrics = [Metric(k, float(v), now, step or 0) for k, v in values.items()]
        self._client.log_batch(self._id, metrics=metrics)

    def _take_summary(self, values: Mapping[str, float]) -> None:
        self._take_metrics(values, None)

    def _take_table(self, key: str, table: pd.DataFrame) -> None:
        self._client.log_text(self._id, table.to_csv(index=False), f"tables/{key}.csv")

    def _take_manifest(self, name: str, table: pd.DataFrame) -> None:
        self._take_table(f"{name}-manifest", table)

    def _take_model(self, name: str, weights: Mapping[str, Tensor]) -> None:
        with TemporaryDirectory() as folder:
            file = Path(folder) / f"{name}.safetensors"
            save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, file)
            self._client.log_artifact(self._id, str(file), "model")

    def _take_pictures(self, files: Mapping[str, Path], step: int | None) -> None:
        for key, file in files.items():
            place = f"pictures/{key}" + ("" if step is None else f"/{step:07d}")
            self._client.log_artifact(self._id, str(file), place)

    def _close(self, failed: bool) -> None:
        # Tried whatever failed before: a run that is left open looks as if it still went on.
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")

    def _failed(self, error: Exception) -> None:
        if is_unreachable(error):
            UNREACHABLE.add(self._address)


def _experiment(client: Any, name: str, location: str | None) -> str:
    """The id of the experiment with a name, which another process may make at the same time."""
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            found = client.get_experiment_by_name(name)
            if found is None:  # it was not that it exists already
                raise
    return str(found.experiment_id)


def _leaves(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in flat_items(config) if not isinstance(value, dict)]
