"""What we wrote, read by programs that share no code with us: Spark with Delta's own jars, and Polars.

Spark: ``pip install pyspark==4.0.1`` and ``mvn dependency:get -Dartifact=io.delta:delta-spark_2.13:4.0.0``.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.data.events import Event, EventKind
from recsys.lake.lake import Lake
from recsys.lake.layout import LakeConfig

MAVEN = Path(os.environ.get("MAVEN_REPOSITORY", Path.home() / ".m2" / "repository"))
JARS = ("io/delta/delta-spark_2.13/4.0.0", "io/delta/delta-storage/4.0.0")
DAY_S = 86_400.0
Spark = Any  # its own session: not an extra of ours, and not typed here


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return a lake that has seen it all: batches, a day that is none, compaction, erasure, a checkpoint."""
    lake = Lake(tmp_path / "lake", LakeConfig(max_days_per_batch=2))
    for n in range(4):
        events = [
            Event(
                event_id=f"e{n}-{k}", user_id=f"u{k % 3}", kind=EventKind.WATCH, time_s=DAY_S * (k % 4) + n,
                item_id=f"i{k}", value=k / 8, context="tv" if k % 2 else None,
            )
            for k in range(12)
        ]  # fmt: skip
        lake.events.append(events, source="log", upto=12 * (n + 1))
    lake.items.append(
        [{"item_id": "i1", "title": "Heat", "tags": ["crime", "noir"], "cost": 0.5, "since_s": 0.0}],
        source="catalogue",
        upto=1,
    )
    lake.compact()
    lake.erase("u2", DAY_S * 9)
    lake.events.append(
        [Event(event_id="late", user_id="u0", kind=EventKind.SIGNUP, time_s=-1.0)], source="log", upto=49
    )
    return lake


def sorted_rows(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return frame.sort("event_id").rows()


def test_polars_reads_the_same_rows(lake: Lake) -> None:
    theirs = pl.scan_delta(f"{lake.place.address}/events").collect()
    ours = lake.read("events")
    assert ours.height == 33
    assert sorted_rows(theirs.select(ours.columns)) == sorted_rows(ours)


def jars() -> list[Path]:
    return [next((MAVEN / folder).rglob("*.jar"), MAVEN / folder) for folder in JARS]


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark, see the head of this file")
    missing = [str(jar) for jar in jars() if not jar.is_file()]
    if missing:
        pytest.skip(f"needs the jars of Delta for Spark: {', '.join(missing)}")
    builder = sql.SparkSession.builder.master("local[1]").appName("readable")
    settings = {
        "spark.jars": ",".join(map(str, jars())),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": str(tmp_path_factory.mktemp("warehouse")),
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # py4j leaves sockets open
def test_spark_reads_the_same_rows_and_an_earlier_version_and_we_read_what_it_wrote(
    lake: Lake, spark: Spark
) -> None:
    ours = lake.read("events")
    folder = f"{lake.place.address}/events"
    theirs = spark.read.format("delta").load(folder).select(*ours.columns)
    assert sorted((tuple(row) for row in theirs.collect()), key=lambda row: row[0]) == sorted_rows(ours)
    versions = lake.versions()
    before = spark.read.format("delta").option("versionAsOf", versions["events"] - 1).load(folder)
    assert before.count() == ours.height - 1
    titles = spark.read.format("delta").load(f"{lake.place.address}/items").select("item_id", "title", "tags")
    assert [tuple(row) for row in titles.collect()] == [("i1", "Heat", ["crime", "noir"])]
    spark.sql(f"DELETE FROM delta.`{folder}` WHERE event_id = 'late'")
    assert lake.read("events").height == ours.height - 1
    assert lake.events.taken("log") == 49
    again = Event(event_id="e0-0", user_id="u0", kind=EventKind.WATCH, time_s=5.0, item_id="i0")
    assert lake.events.append([again], source="log", upto=50) == 0
