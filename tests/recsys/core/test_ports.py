import socket
from pathlib import Path

import pytest

from recsys.core import ports
from recsys.core.errors import UnavailableError
from recsys.core.ports import free_ports

HANDED_OUT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_free_ports_are_different_and_can_be_bound() -> None:
    found = free_ports(5)
    assert len(set(found)) == 5
    for port in found:
        with socket.socket() as one:
            one.bind(("127.0.0.1", port))


def test_the_system_hands_none_of_them_to_others() -> None:
    if not HANDED_OUT.exists():
        pytest.skip(f"no {HANDED_OUT} to read what the system hands out")
    low, high = map(int, HANDED_OUT.read_text().split())
    assert not any(low <= port <= high for port in free_ports(50))


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_what_somebody_listens_on_is_passed_over(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, free = free_ports(2)
    monkeypatch.setattr(ports, "_LEFT_ALONE", [taken, free])
    with socket.socket() as one:
        one.bind((address, taken))
        one.listen()
        assert free_ports(1) == [free]
        with pytest.raises(UnavailableError, match="1 are free"):
            free_ports(2)
