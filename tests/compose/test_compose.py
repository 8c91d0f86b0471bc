"""The file for people without Kubernetes: Docker would take it, and everything that it names is there."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import Field, TypeAdapter

from recsys.cli.main import app
from recsys.core.settings import FrozenModel

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "marquee" / "files"
DURATION = r"^[0-9]+(ms|s|m)$"


class Build(FrozenModel):
    context: str = "."
    dockerfile_inline: str | None = None


class Healthcheck(FrozenModel):
    test: list[str]
    interval: str = Field(pattern=DURATION)
    timeout: str = Field(pattern=DURATION)
    retries: int
    start_period: str | None = Field(default=None, pattern=DURATION)


class Waits(FrozenModel):
    condition: str = Field(pattern="^service_(started|healthy|completed_successfully)$")


class Service(FrozenModel):
    """The keys of the Compose specification that we use, as it types them, and no others."""

    image: str = Field(pattern=r"^[a-z/-]+:[a-z0-9.-]+$")  # a version, and no registry's name
    build: str | Build | None = None
    profiles: list[str] = Field(default_factory=list)
    init: bool = False
    command: list[str] | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    volumes: list[str] = Field(default_factory=list)
    ports: list[str] = Field(default_factory=list)
    shm_size: str | None = Field(default=None, pattern="^[0-9]+mb$")
    depends_on: dict[str, Waits] | list[str] = Field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    restart: str = Field(default="no", pattern="^(no|unless-stopped)$")


class Compose(FrozenModel):
    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


def read(path: Path) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load(path.read_text())


def mounts(service: Service) -> Iterator[tuple[str, str]]:
    for mount in service.volumes:
        source, where, *_ = mount.split(":")
        yield source, where


@pytest.fixture(scope="module")
def compose() -> Compose:
    written = {key: value for key, value in read(ROOT / "compose.yaml").items() if not key.startswith("x-")}
    return TypeAdapter(Compose).validate_python(written, strict=True)


def test_there_is_what_people_look_for(compose: Compose) -> None:
    assert set(compose.services) == {"demo", "service", "redis", "prometheus", "grafana", "mlflow"}


def test_every_file_and_volume_that_is_mounted_is_there(compose: Compose) -> None:
    sources = {source for service in compose.services.values() for source, _ in mounts(service)}
    assert {source for source in sources if not source.startswith("./")} == set(compose.volumes)
    assert [source for source in sources if source.startswith("./") and not (ROOT / source).exists()] == []
    assert (ROOT / "Dockerfile").is_file()


def test_whoever_is_waited_for_is_there_and_can_say_that_it_is_well(compose: Compose) -> None:
    for service in compose.services.values():
        assert set(service.depends_on) <= set(compose.services)
        waits = service.depends_on if isinstance(service.depends_on, dict) else {}
        for name, waited in waits.items():
            if waited.condition == "service_healthy":
                assert compose.services[name].healthcheck is not None


def test_nothing_is_published_beyond_this_machine(compose: Compose) -> None:
    ports = [port for service in compose.services.values() for port in service.ports]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_command_of_ours_is_one_that_the_program_takes(compose: Compose) -> None:
    ours = [words for service in compose.services.values() for words in marquee_commands(service)]
    assert [words[1] for words in ours] == ["registry", "data", "train", "serve"]
    for words in ours:
        parsed(words[1:])


def marquee_commands(service: Service) -> Iterator[list[str]]:
    if service.command is None:
        return
    if service.command[0] == "marquee":
        yield service.command
    elif service.command[0] == "bash":
        for line in service.command[-1].splitlines():
            if found := re.search(r"\bmarquee [^>;]*", line):
                yield shlex.split(found[0])


def parsed(words: list[str]) -> None:
    """Read a command line as the program does, and do nothing.

    Raises:
        click.UsageError: the program would refuse it.
    """
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "get_command"):
        command = command.get_command(None, rest.pop(0))
    command.make_context("marquee", rest)


def test_a_command_with_an_option_that_is_not_there_is_noticed() -> None:
    with pytest.raises(Exception, match=r"No such option.*--speed"):
        parsed(["serve", "--speed", "9"])


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool (Debian: apt-get install prometheus)"
)
def test_prometheus_takes_its_settings_and_our_alerts(compose: Compose, tmp_path: Path) -> None:
    settings = read(ROOT / "compose" / "prometheus.yaml")
    assert settings["rule_files"] == ["/etc/prometheus/alerts.yaml"]
    inside = {where: source for source, where in mounts(compose.services["prometheus"])}
    text = (ROOT / inside["/etc/prometheus/prometheus.yaml"]).read_text()
    (tmp_path / "alerts.yaml").write_text((ROOT / inside["/etc/prometheus/alerts.yaml"]).read_text())
    (tmp_path / "prometheus.yaml").write_text(text.replace("/etc/prometheus/", f"{tmp_path}/"))
    checked = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_prometheus_scrapes_ports_on_which_the_service_listens(compose: Compose) -> None:
    (scrape,) = read(ROOT / "compose" / "prometheus.yaml")["scrape_configs"]
    (static,) = scrape["static_configs"]
    assert static["targets"] == ["service:8000", "service:8080"]
    assert "--ray-metrics-port=8080" in (compose.services["service"].command or [])
    assert set(static["labels"]) == {"namespace", "pod"}  # as on Kubernetes; panels and alerts pick by them


def test_grafana_finds_prometheus_and_the_dashboards(compose: Compose) -> None:
    (source,) = read(ROOT / "compose" / "grafana" / "datasource.yaml")["datasources"]
    (provider,) = read(ROOT / "compose" / "grafana" / "dashboards.yaml")["providers"]
    inside = {where: name for name, where in mounts(compose.services["grafana"])}
    assert (source["type"], source["url"]) == ("prometheus", "http://prometheus:9090")
    assert (ROOT / inside[provider["options"]["path"]]).resolve() == FILES / "dashboards"
    home = compose.services["grafana"].environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (FILES / "dashboards" / Path(home).name).is_file()
