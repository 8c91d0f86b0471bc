"""``--traffic``: where the traffic document is, for every command that reads or writes it."""

from pathlib import Path
from typing import Annotated

import typer

from deployments.kubernetes.address import SCHEME
from deployments.traffic_stores import check_address, open_traffic_store
from recsys.rollout.traffic_store import TrafficStore

TrafficOption = Annotated[
    str | None,
    typer.Option(
        "--traffic",
        envvar="MARQUEE_TRAFFIC",
        help=f"The traffic document: a file or {SCHEME}://NAMESPACE/NAME; HOME/traffic.json.",
        show_default=False,
    ),
]


def traffic_address(traffic: str | None, home: Path) -> str:
    """Return the address of the traffic document; a file's is absolute, for others work in other folders.

    Raises:
        FieldError: ``traffic`` is no such address.
    """
    if traffic is None:
        return str((home / "traffic.json").absolute())
    address = check_address(traffic)
    return address if address.startswith(f"{SCHEME}:") else str(Path(address).absolute())


def traffic_store(traffic: str | None, home: Path) -> TrafficStore:
    """Open the store of the traffic document.

    Raises:
        FieldError: ``traffic`` is no such address, or it cannot be opened from here.
    """
    return open_traffic_store(traffic_address(traffic, home))
