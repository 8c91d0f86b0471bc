"""What an answer tells about itself, read without parsing it: parsing would cost more than sending."""

from typing import NamedTuple

_BUNDLE_DIGITS = 12


class Facts(NamedTuple):
    """What a list of ours says of itself; empty where the answer is something else."""

    arm: str = ""
    bundle: str = ""
    degraded: bool = False
    cached: bool = False


_NOTHING = Facts()
_KEPT = 1_024  # more different arms and bundles than any run has
_seen: dict[bytes, Facts] = {}


def facts_of(body: bytes) -> Facts:
    """Return what an answer's body says.

    A quote within a JSON string is escaped, so the words looked for are always keys. They stand behind the
    items.

    >>> facts_of(b'{"items":[],"arm":"control","bundle":"ab12","cursor":null,"degraded":[]}')
    Facts(arm='control', bundle='ab12', degraded=False, cached=False)
    """
    begin = body.rfind(b'"arm":"')
    end = body.find(b'"cursor":', begin)
    if begin < 0 or end < 0:
        return _NOTHING
    origin = body[begin:end]
    whole = _seen.get(origin)
    if whole is None:
        whole = Facts(_text_after(origin, b'"arm":"'), _text_after(origin, b'"bundle":"')[:_BUNDLE_DIGITS])
        if len(_seen) < _KEPT:
            _seen[origin] = whole
    degraded = body.find(b'"degraded":[{', end) >= 0
    cached = body.find(b'"cached":true', begin) >= 0
    return whole._replace(degraded=degraded, cached=cached) if degraded or cached else whole


def _text_after(text: bytes, key: bytes) -> str:
    """Return the string that follows a key; empty when there is none."""
    return text.partition(key)[2].partition(b'"')[0].decode(errors="replace")
