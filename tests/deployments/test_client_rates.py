from hashlib import sha256

import pytest

from deployments.client_rates import ClientRates, client_address, key_in
from deployments.overload_settings import Rate, RateLimits

KEY = b"a-secret"
DIGEST = sha256(KEY).hexdigest()
LIMITS = RateLimits(
    by_key={DIGEST: Rate(per_s=100.0, burst=3)},
    other_keys=Rate(per_s=1.0, burst=2),
    no_key=Rate(per_s=0.1, burst=1),
)


def rates(limits: RateLimits = LIMITS) -> ClientRates:
    return ClientRates(limits, lambda: 0.0)


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({b"x-api-key": b" k1 "}, b"k1"),
        ({b"authorization": b"Bearer k2"}, b"k2"),
        ({b"authorization": b"bearer  k2 "}, b"k2"),
        ({b"x-api-key": b"k1", b"authorization": b"Bearer k2"}, b"k1"),
        ({b"authorization": b"Basic dTpw"}, None),
        ({b"x-api-key": b""}, None),
        ({}, None),
    ],
)
def test_a_key_comes_in_either_header(headers: dict[bytes, bytes], key: bytes | None) -> None:
    assert key_in(headers) == key


@pytest.mark.parametrize(
    ("forwarded", "hops", "address"),
    [
        (b"9.9.9.9, 1.1.1.1, 2.2.2.2", 0, b"127.0.0.1"),
        (b"9.9.9.9, 1.1.1.1, 2.2.2.2", 1, b"2.2.2.2"),
        (b"9.9.9.9, 1.1.1.1, 2.2.2.2", 2, b"1.1.1.1"),
        (b"2.2.2.2", 2, b"127.0.0.1"),
        (b"", 1, b"127.0.0.1"),
    ],
)
def test_only_entries_that_our_own_proxies_wrote_are_believed(
    forwarded: bytes, hops: int, address: bytes
) -> None:
    assert client_address({b"x-forwarded-for": forwarded}, "127.0.0.1", hops) == address


def test_a_known_key_another_key_and_no_key_have_rates_of_their_own() -> None:
    limits = rates()

    def allowed(headers: dict[bytes, bytes], address: str = "1.1.1.1") -> tuple[str, bool]:
        told = limits.take(headers, address)
        assert told is not None
        return told.sort, told.allowance.allowed

    known, other = {b"x-api-key": KEY}, {b"x-api-key": b"else"}
    assert [allowed(known) for _ in range(4)] == [("known-key", True)] * 3 + [("known-key", False)]
    assert [allowed(other) for _ in range(3)] == [("other-key", True)] * 2 + [("other-key", False)]
    assert [allowed({}) for _ in range(2)] == [("no-key", True), ("no-key", False)]
    assert allowed({b"x-api-key": b"third"}) == ("other-key", True)
    assert allowed({}, "2.2.2.2") == ("no-key", True)


def test_keys_that_are_not_listed_count_as_none_when_nothing_is_said_of_them() -> None:
    limits = rates(LIMITS.model_copy(update={"other_keys": None}))
    found = [limits.take({b"x-api-key": b"made-up-%d" % n}, "1.1.1.1") for n in range(2)]
    assert [told.allowance.allowed for told in found if told] == [True, False]


def test_nothing_is_limited_that_nothing_is_said_of() -> None:
    assert rates(RateLimits()).take({b"x-api-key": KEY}, "1.1.1.1") is None


def test_the_headers_are_those_of_the_draft() -> None:
    told = rates().take({b"x-api-key": b"else"}, "")
    assert told is not None
    assert told.headers() == [
        (b"ratelimit-policy", b'"other-key";q=2;w=2'),
        (b"ratelimit", b'"other-key";r=1;t=1'),
    ]
