from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.cli.traffic_option import traffic_address
from deployments.kubernetes.config_map_store import ConfigMapTrafficStore
from deployments.settings import GraphArgs
from deployments.traffic_stores import open_traffic_store
from recsys.core.errors import FieldError, NotFoundError
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: me, user: {}}]
"""


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a server that nobody has started."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    return path


def test_a_path_is_a_file(tmp_path: Path) -> None:
    store = open_traffic_store(tmp_path / "traffic.json")
    assert isinstance(store, FileTrafficStore)
    store.swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
    assert open_traffic_store(str(tmp_path / "traffic.json")).read().version == 1


def test_an_address_is_a_config_map(kubeconfig: Path) -> None:
    assert kubeconfig.is_file()
    store = open_traffic_store("configmap://shop/traffic")
    assert isinstance(store, ConfigMapTrafficStore)


def test_a_config_map_cannot_be_had_without_credentials(kubeconfig: Path) -> None:
    kubeconfig.write_text("")
    with pytest.raises(FieldError, match=r"KUBECONFIG: got .*; expected a pod with a service account"):
        open_traffic_store("configmap://shop/traffic")


def test_an_owner_is_named_in_full(kubeconfig: Path) -> None:
    assert kubeconfig.is_file()
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "controller"}
    with pytest.raises(FieldError, match=r"owner: got .*; expected apiVersion, kind, name and uid"):
        open_traffic_store("configmap://shop/traffic", owner=owner)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("", "traffic: got nothing; expected the path of a file, or configmap://NAMESPACE/NAME"),
        ("s3://shop/traffic", "traffic: got 's3://shop/traffic'; expected the path of a file, or configmap:"),
        (
            "configmap:shop/traffic",
            "traffic: got 'configmap:shop/traffic'; expected configmap://NAMESPACE/NAME",
        ),
        ("configmap://traffic", "traffic: got 'configmap://traffic'; expected configmap://NAMESPACE/NAME"),
        ("configmap://shop/Traffic", "traffic name: got 'Traffic'; expected at most 245 of a-z"),
    ],
)
def test_what_is_no_address_is_refused(address: str, said: str) -> None:
    with pytest.raises(FieldError) as refused:
        open_traffic_store(address)
    assert str(refused.value).startswith(said)


def args(traffic: object) -> GraphArgs:
    return GraphArgs.model_validate(
        {"registry": "r", "traffic": traffic, "state_url": "sqlite:///s.db", "event_log": "e"}
    )


def test_settings_take_addresses_and_paths_and_write_text() -> None:
    assert args(Path("/data/traffic.json")).model_dump(mode="json")["traffic"] == "/data/traffic.json"
    assert args("configmap://shop/traffic").traffic == "configmap://shop/traffic"


@pytest.mark.parametrize("traffic", ["", "redis://shop", "configmap://shop", 7, None])
def test_settings_refuse_what_nobody_could_open(traffic: object) -> None:
    with pytest.raises(ValidationError, match="traffic"):
        args(traffic)


def test_commands_find_the_document_in_their_home_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert traffic_address(None, Path("home")) == str(tmp_path / "home" / "traffic.json")
    assert traffic_address("there.json", Path("home")) == str(tmp_path / "there.json")
    assert traffic_address("configmap://shop/traffic", Path("home")) == "configmap://shop/traffic"
    with pytest.raises(NotFoundError):
        open_traffic_store(traffic_address(None, Path("home"))).read()
