import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.kubernetes.address import ConfigMapAddress
from recsys.core.errors import FieldError

ALPHABET = "abz09-."
NAMES = st.text(ALPHABET, min_size=1, max_size=20)


def test_an_address_is_a_namespace_and_a_name() -> None:
    address = ConfigMapAddress.parse("configmap://shop/marquee-traffic")
    assert (address.namespace, address.name) == ("shop", "marquee-traffic")
    assert str(address) == "configmap://shop/marquee-traffic"
    assert str(address.history) == "configmap://shop/marquee-traffic-history"


@pytest.mark.parametrize(
    "text", ["", "shop/traffic", "configmap:/shop/traffic", "configmap://shop", "file://a/b"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match=r"expected configmap://NAMESPACE/NAME"):
        ConfigMapAddress.parse(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("configmap:///traffic", "traffic namespace: got nothing"),
        ("configmap://shop/", "traffic name: got nothing"),
        ("configmap://Shop/traffic", "traffic namespace: got 'Shop'"),
        ("configmap://shop.eu/traffic", "traffic namespace: got 'shop.eu'"),
        ("configmap://shop/traffic/", "traffic name: got 'traffic/'"),
        ("configmap://shop/a..b", r"traffic name: got 'a\.\.b'"),
        ("configmap://shop/-a", "traffic name: got '-a'"),
        ("configmap://shop/traffic\n", "traffic name: got"),
        (f"configmap://{'n' * 64}/traffic", "traffic namespace: got 'n+'; expected at most 63"),
        (f"configmap://shop/{'n' * 246}", "traffic name: got 'n+'; expected at most 245"),
    ],
)
def test_names_that_kubernetes_would_refuse_are_refused_here(text: str, part: str) -> None:
    with pytest.raises(FieldError, match=part):
        ConfigMapAddress.parse(text)


@given(NAMES, NAMES)
def test_what_is_accepted_is_written_as_it_was_read(namespace: str, name: str) -> None:
    text = f"configmap://{namespace}/{name}"
    try:
        address = ConfigMapAddress.parse(text)
    except FieldError:
        assert (
            "." in namespace
            or not (namespace[0] + namespace[-1] + name[0] + name[-1]).isalnum()
            or (".." in name or ".-" in name or "-." in name)
        )
    else:
        assert str(address) == text
