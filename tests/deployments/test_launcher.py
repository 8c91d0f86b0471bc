import socket
from pathlib import Path

import pytest

from deployments.graph import build
from deployments.local_settings import check_port, serve_environment
from deployments.settings import GraphArgs, Replicas
from recsys.core.errors import FieldError


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FieldError, match=f"port: got {port}"):
            check_port("127.0.0.1", port)


def test_paths_of_sockets_are_short_enough_for_haproxy() -> None:
    folder = Path("/", "tmp", "mq-abcdefgh")
    node_id = "0" * 56
    sockets = [value for name, value in serve_environment(folder).items() if name.endswith("SOCKET_PATH")]
    assert len(sockets) == 2
    for path in sockets:
        assert len(str(Path(path).parent / node_id / Path(path).name)) <= 97


def test_settings_of_the_graph_are_closed() -> None:
    with pytest.raises(ValueError, match="routers"):
        GraphArgs.model_validate({"registry": "r", "routers": 2})


def test_the_graph_is_one_router_and_two_deployments_per_lane(tmp_path: Path) -> None:
    args = GraphArgs(
        registry=tmp_path,
        traffic=tmp_path / "t.json",
        state_url="sqlite:///x.db",
        event_log=tmp_path / "e",
        lanes=("blue", "green", "red"),
        router=Replicas(replicas=3, cpus=0.5),
    )
    router = build(args)._bound_deployment
    assert (router.name, router.num_replicas) == ("router", 3)
    assert (router.ray_actor_options or {})["num_cpus"] == 0.5
    recall, ranking = list(router.init_args)[1:]
    names = {app._bound_deployment.name for apps in (recall, ranking) for app in apps.values()}
    assert names == {f"{stage}-{lane}" for stage in ("recall", "ranking") for lane in args.lanes}
