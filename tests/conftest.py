"""Small worlds that many tests stand on: logs and users written down by hand, one simulated data set."""

import os
import shutil
import socket
import sqlite3
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from kubernetes.client import CoreV1Api, V1Namespace, V1ObjectMeta
from moto.server import ThreadedMotoServer

from deployments.kubernetes.connection import api_errors, core_api
from recsys.core.durable import locked, replace_durably
from recsys.core.errors import FieldError, UnavailableError
from recsys.core.ports import free_ports
from recsys.data.formats import load_dataset
from recsys.data.log import InteractionLog
from recsys.data.schema import ITEMS, Dataset
from recsys.features.users import UserBatch, user_batch
from recsys.registry.bundle import BundleWriter
from recsys.registry.reader import FolderBundleReader, open_bundle
from recsys.registry.writer import write_bundle
from recsys.simulation.scenario import scenario_named
from recsys.simulation.writer import simulate
from recsys.tracking.open import open_tracking

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

# Cores are shared: no example is too slow. The same examples every time: a red test stays red.
settings.register_profile(
    "marquee", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("marquee")


@pytest.fixture(scope="session")
def log_of() -> Callable[..., InteractionLog]:
    """Make a log of one history per user, each a list of item rows from old to new."""

    def make(
        histories: Sequence[Sequence[int]],
        n_items: int,
        *,
        times_s: Sequence[Sequence[float]] | None = None,
        context_rows: Sequence[Sequence[int]] | None = None,
        contexts: tuple[str, ...] = (),
    ) -> InteractionLog:
        lengths = [len(history) for history in histories]
        given_times = [range(n) for n in lengths] if times_s is None else times_s
        given_contexts = [[0] * n for n in lengths] if context_rows is None else context_rows
        return InteractionLog(
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.array([row for history in histories for row in history], dtype=np.int32),
            np.array([time_s for times in given_times for time_s in times], dtype=np.float64),
            np.array([row for rows in given_contexts for row in rows], dtype=np.int16),
            tuple(f"u{user}" for user in range(len(histories))),
            contexts,
            n_items,
        )

    return make


@pytest.fixture(scope="session")
def users_of() -> Callable[..., UserBatch]:
    """Make users of one history each (item rows from old to new); times are 0, 1, 2, ..."""

    def make(
        histories: Sequence[Sequence[int]],
        *,
        now_s: float | Sequence[float] = 100.0,
        times_s: Sequence[Sequence[float]] | None = None,
        context_rows: Sequence[int] | None = None,
        excluded: Sequence[Sequence[int]] | None = None,
    ) -> UserBatch:
        lengths = [len(history) for history in histories]
        given_times = [range(n) for n in lengths] if times_s is None else times_s
        hidden = [[] for _ in histories] if excluded is None else excluded
        stops = np.cumsum(lengths).astype(np.int64)
        return user_batch(
            np.array([row for history in histories for row in history], dtype=np.int32),
            np.array([time_s for times in given_times for time_s in times], dtype=np.float64),
            stops - np.array(lengths, dtype=np.int64),
            stops,
            now_s=np.broadcast_to(np.asarray(now_s, dtype=np.float64), len(histories)),
            context_rows=np.array(context_rows or [0] * len(histories), dtype=np.int16),
            excluded_offsets=np.cumsum([0, *(len(rows) for rows in hidden)]).astype(np.int64),
            excluded_rows=np.array([row for rows in hidden for row in rows], dtype=np.int32),
        )

    return make


@pytest.fixture(scope="session")
def catalogue_of() -> Callable[..., pl.DataFrame]:
    """Make a catalogue from any columns of the schema; the others are null, everything is available."""

    def make(n_items: int, **columns: Sequence[object]) -> pl.DataFrame:
        given: dict[str, Sequence[object]] = {
            "item_id": [f"i{row}" for row in range(n_items)],
            "tags": [[]] * n_items,
            "available": [True] * n_items,
        }
        given |= columns
        return pl.DataFrame({name: given.get(name, [None] * n_items) for name in ITEMS}, schema=ITEMS)

    return make


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., FolderBundleReader]:
    """Write something into a bundle of its own and open it."""

    def make(fill: Callable[[BundleWriter], None]) -> FolderBundleReader:
        folder = tmp_path_factory.mktemp("bundles")
        written = write_bundle(folder, fill, feature_schema="test", created_s=0.0, meta={})
        return open_bundle(written.path, feature_schema="test")

    return make


@pytest.fixture(scope="session")
def simulated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small simulated world: 120 users, 60 items, 3,000 rows."""
    folder = tmp_path_factory.mktemp("simulated") / "data"
    simulate(scenario_named("tiny", n_users=120, n_items=60, n_events=3_000), 7, folder, n_workers=1)
    return folder


@pytest.fixture(scope="session")
def simulated(simulated_folder: Path) -> Dataset:
    """Return the small simulated world."""
    return load_dataset(simulated_folder, now_s=2e9).dataset


@pytest.fixture(scope="session")
def real_movielens() -> Path:
    """Folder of ml-latest-small beside the project."""
    folder = Path(__file__).parents[2] / "shared" / "data" / "ml-latest-small"
    if not folder.is_dir():
        pytest.skip("no ../shared/data/ml-latest-small beside the project: real ratings are not at hand")
    return folder


_BUCKET = "models"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Run a server that speaks S3: moto's, in this process, with one bucket.

    It answers one request at a time: S3 promises that of two who write what must not be there yet one fails;
    moto looks, then writes, and others come in between.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    assert server._server is not None
    answer, one_at_a_time = server._server.app, Lock()

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        with one_at_a_time:
            return answer(environ, start_response)

    server._server.app = app
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx.put(f"{url}/{_BUCKET}").raise_for_status()
    yield url
    server.stop()


@pytest.fixture
def bucket_address(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty place in a bucket; the environment says how to get there."""
    known = {"ACCESS_KEY_ID": "somebody", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    for name, value in {**known, "ENDPOINT_URL": s3_url}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return f"s3://{_BUCKET}/{uuid4().hex}"


@pytest.fixture(scope="session")
def cluster() -> CoreV1Api:
    """The API server of a real cluster; tests that need it are marked ``cluster``."""
    try:
        api = core_api()
        with api_errors("the cluster"):
            api.list_namespace(limit=1, _request_timeout=5)
    except (FieldError, UnavailableError) as error:
        pytest.skip(f"no Kubernetes answers: {error}")
    return api


@pytest.fixture
def namespace(cluster: CoreV1Api) -> Iterator[str]:
    """A namespace of its own, which goes away with everything in it."""
    name = f"marquee-test-{uuid4().hex[:8]}"
    cluster.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
    yield name
    cluster.delete_namespace(name)


@pytest.fixture(scope="session")
def new_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's tables once: its hundred migrations take seconds."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    file = tmp_path_factory.mktemp("mlflow") / "new.db"
    open_tracking(f"sqlite:///{file}", file.parent).name({})
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM experiments")  # it names this folder as the place of its files
    database.close()
    return file


@pytest.fixture
def mlflow_address(new_mlflow: Path, tmp_path: Path) -> str:
    """Return the address of an empty MLflow, in a SQLite file."""
    folder = tmp_path / "mlflow"
    folder.mkdir()
    return f"sqlite:///{shutil.copy(new_mlflow, folder / 'mlflow.db')}"


@pytest.fixture
def mlflow_client(mlflow_address: str) -> "MlflowClient":
    """Return MLflow's own client, to read back what was told."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=mlflow_address, registry_uri=mlflow_address)


@pytest.fixture
def run_of(mlflow_client: "MlflowClient") -> "Callable[[str], MlflowRun]":
    """Find the one run of a name."""

    def find(name: str) -> "MlflowRun":
        experiment = mlflow_client.get_experiment_by_name("marquee").experiment_id
        (run,) = mlflow_client.search_runs([experiment], f"attributes.run_name = '{name}'")
        return run

    return find


_KAFKA_JARS = Path(__file__).with_name("kafka.sha256")  # as sha256sum prints them: Kafka 4.1.0
_MAVEN = os.environ.get("MARQUEE_MAVEN", "https://repo1.maven.org/maven2")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """Folder of Apache Kafka's jars; downloaded once per machine, each checked by its digest."""
    if shutil.which("java") is None:
        pytest.skip("no java here (Debian: apt-get install openjdk-17-jre-headless)")
    folder = Path.home() / ".cache" / "marquee-tests" / "kafka"
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"), httpx.Client(timeout=60.0) as client:
        for line in _KAFKA_JARS.read_text().splitlines():
            digest, path = line.split()
            jar = folder / path.rpartition("/")[2]
            if jar.is_file():
                continue
            try:
                got = client.get(f"{_MAVEN}/{path}").raise_for_status().content
            except httpx.HTTPError as error:
                pytest.skip(f"Kafka's jars are not to be had: {error!r}")
            assert sha256(got).hexdigest() == digest, path
            replace_durably(jar, got)
    return folder


@dataclass
class KafkaBroker:
    """A broker of our own on loopback, in KRaft mode."""

    jars: Path
    folder: Path
    ports: list[int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    def format(self) -> None:
        host, (port, controller) = "127.0.0.1", self.ports
        lines = [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@{host}:{controller}",
            f"listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}",
            "controller.listener.names=CONTROLLER",
            f"log.dirs={self.folder / 'data'}",
            "auto.create.topics.enable=false",
            "group.initial.rebalance.delay.ms=0",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "log.cleaner.backoff.ms=200",
            "log.segment.delete.delay.ms=100",
        ]
        self._settings.write_text("\n".join(lines))
        id_of_cluster = urlsafe_b64encode(b"marquee-testing!").decode().rstrip("=")
        run = self._java("kafka.tools.StorageTool", "format", "-t", id_of_cluster, "-c", str(self._settings))
        assert run.wait(120.0) == 0, (self.folder / "log").read_text()

    def start(self) -> None:
        self.process = self._java("kafka.Kafka", str(self._settings))
        for _ in range(1_200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), 0.1):
                return
            time.sleep(0.1)
        pytest.fail(f"Kafka did not listen within two minutes: {(self.folder / 'log').read_text()[-2_000:]}")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _java(self, *arguments: str) -> subprocess.Popen[bytes]:
        memory = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        with (self.folder / "log").open("ab") as log:
            command = ["java", *memory, "-cp", f"{self.jars}/*", *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"


@pytest.fixture(scope="session")
def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """A real broker. Who kills it starts it again; topics are of a prefix of one's own."""
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    broker = KafkaBroker(kafka_jars, tmp_path_factory.mktemp("kafka"), free_ports(2))
    try:
        broker.format()
        broker.start()
        yield broker
    finally:
        broker.kill()


@pytest.fixture
def kafka_address(kafka: KafkaBroker) -> str:
    """The address of topics of a test's own."""
    return f"kafka://{kafka.server}/test-{uuid4().hex[:8]}"
