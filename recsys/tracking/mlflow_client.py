"""Runs, versions and aliases in MLflow. Nothing else here knows it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from recsys.core.errors import UnavailableError
from recsys.tracking.run import Figure, How, Parameter, Result, Run, Version

_KEY = "marquee.key"
_BUNDLE = "marquee.bundle"
_PARENT = "mlflow.parentRunId"  # what MLflow itself calls the run above
_MOST_PARAMETERS = 100  # that MLflow takes at a time
_LONGEST_TAG = 500
_MS_PER_S = 1_000
_SQLITE = "sqlite:///"
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
"""Its own would hold up a sweep for minutes; what the user has set is left alone."""


@dataclass(frozen=True, slots=True)
class _Known:
    run_id: str
    is_over: bool
    was_killed: bool
    began_ms: int


class MlflowTracking:
    """A :class:`~recsys.tracking.run.Tracking` in MLflow: one experiment, one registered model."""

    def __init__(self, address: str, *, name: str = "marquee") -> None:
        """Open nothing yet.

        Args:
            address: a tracking URI of MLflow: ``sqlite:///FILE`` (files of runs lie beside it),
                ``http://HOST:PORT``, ...
            name: of the experiment and of the registered model.
        """
        self._address = address
        self._name = name
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._known: dict[str, _Known] = {}

    def begin(self, run: Run, *, again: bool = False) -> None:
        """See :meth:`recsys.tracking.run.Tracking.begin`."""
        with self._asked() as client:
            known = self._find(client, run.key) or self._made(client, run)
            if known.is_over and (again or known.was_killed):
                client.update_run(known.run_id, status="RUNNING")
                known = self._keep(run.key, known.run_id, "RUNNING", known.began_ms)
            if not known.is_over:
                _write_parameters(client, known.run_id, run.parameters)

    def end(self, key: str, result: Result) -> None:
        """See :meth:`recsys.tracking.run.Tracking.end`."""
        with self._asked() as client:
            known = self._begun(client, key)
            if known.is_over:
                return
            # The same moment whenever it is told: MLflow keeps equal points once.
            at_ms = known.began_ms + round(result.seconds * _MS_PER_S)
            metrics = [_metric(figure, at_ms) for figure in result.figures]
            tags = [RunTag(name, text[:_LONGEST_TAG]) for name, text in result.tags.items()]
            client.log_batch(known.run_id, metrics=metrics, tags=tags)
            client.set_terminated(known.run_id, status=result.how.value)
            self._keep(key, known.run_id, result.how.value, known.began_ms)

    def files(self, key: str, texts: Mapping[str, str]) -> None:
        """See :meth:`recsys.tracking.run.Tracking.files`."""
        with self._asked() as client:
            run_id = self._begun(client, key).run_id
            for path, text in texts.items():
                client.log_text(run_id, text, path)

    def register(self, version: Version) -> None:
        """See :meth:`recsys.tracking.run.Tracking.register`."""
        with self._asked() as client:
            if self._version(client, version.bundle) is not None:
                return
            if not client.search_registered_models(f"name = '{self._name}'"):
                client.create_registered_model(self._name)
            run = client.get_run(self._begun(client, version.run).run_id)
            client.create_model_version(
                self._name,
                f"{run.info.artifact_uri}/bundle",
                run_id=run.info.run_id,
                tags={_BUNDLE: version.bundle, **version.tags},
                description=f"bundle {version.bundle}",
            )

    def name(self, aliases: Mapping[str, str | None]) -> None:
        """See :meth:`recsys.tracking.run.Tracking.name`."""
        with self._asked() as client:
            if not client.search_registered_models(f"name = '{self._name}'"):
                return
            before = client.get_registered_model(self._name).aliases
            for alias, bundle in aliases.items():
                version = None if bundle is None else self._version(client, bundle)
                if version is not None and before.get(alias) != version:
                    client.set_registered_model_alias(self._name, alias, version)
                elif version is None and alias in before:
                    client.delete_registered_model_alias(self._name, alias)

    @contextmanager
    def _asked(self) -> Iterator[MlflowClient]:
        """Hand out the client; whatever goes wrong with it becomes an error of ours.

        Raises:
            UnavailableError: always when anything fails.
        """
        try:
            with _impatient():
                self._client = self._client or self._opened()
                yield self._client
        except UnavailableError:
            raise
        except Exception as error:  # stores for files raise errors of their makers, and none must end a sweep
            self._known.clear()  # an answer may have been lost
            raise UnavailableError("tracking", _first_line(error)) from error

    def _opened(self) -> MlflowClient:
        files = None
        if self._address.startswith(_SQLITE):
            folder = Path(self._address.removeprefix(_SQLITE)).absolute().parent
            folder.mkdir(parents=True, exist_ok=True)  # MLflow would try for minutes
            files = (folder / "mlflow-files").as_uri()
        client = MlflowClient(tracking_uri=self._address, registry_uri=self._address)
        found = client.get_experiment_by_name(self._name)
        if found is None:
            self._experiment = client.create_experiment(self._name, artifact_location=files)
        else:
            self._experiment = found.experiment_id
        return client

    def _made(self, client: MlflowClient, run: Run) -> _Known:
        tags = {_KEY: run.key, **run.tags}
        if run.parent is not None:
            tags[_PARENT] = self._begun(client, run.parent).run_id
        made = client.create_run(self._experiment, tags=tags, run_name=run.name)
        return self._keep(run.key, made.info.run_id, made.info.status, made.info.start_time)

    def _begun(self, client: MlflowClient, key: str) -> _Known:
        known = self._find(client, key)
        if known is None:
            raise UnavailableError("tracking", f"run {key} is gone from {self._name}")
        return known

    def _find(self, client: MlflowClient, key: str) -> _Known | None:
        if key in self._known:
            return self._known[key]
        found = client.search_runs([self._experiment], f"tags.`{_KEY}` = '{key}'", max_results=1)
        if not found:
            return None
        info = found[0].info
        return self._keep(key, info.run_id, info.status, info.start_time)

    def _keep(self, key: str, run_id: str, status: str, began_ms: int) -> _Known:
        known = _Known(run_id, status in set(How), status == How.KILLED, began_ms)
        self._known[key] = known
        return known

    def _version(self, client: MlflowClient, bundle: str) -> str | None:
        found = client.search_model_versions(f"name = '{self._name}' and tag.`{_BUNDLE}` = '{bundle}'")
        return str(found[0].version) if found else None


@contextmanager
def _impatient() -> Iterator[None]:
    ours = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _write_parameters(client: MlflowClient, run_id: str, parameters: Mapping[str, Parameter]) -> None:
    written = [Param(name, str(value)) for name, value in parameters.items()]
    for start in range(0, len(written), _MOST_PARAMETERS):
        client.log_batch(run_id, params=written[start : start + _MOST_PARAMETERS])


def _metric(figure: Figure, at_ms: int) -> Metric:
    return Metric(figure.name.replace("@", "_at_"), figure.value, at_ms, figure.step)  # it takes no @


def _first_line(error: Exception) -> str:
    text = error.message if isinstance(error, MlflowException) else str(error)
    lines = text.strip().splitlines()
    return lines[0] if lines else type(error).__name__
