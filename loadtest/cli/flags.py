"""From flags to a plan: a scenario file first, then flags, then ``--set``."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from loadtest.engine.plan import Plan, plan_of, read_scenario
from loadtest.traffic.settings import parse_mix
from recsys.core.errors import DataFormatError, FieldError

_PROFILES = ("constant", "ramp", "step", "spike", "soak")
Fields = dict[str, object]


def plan_from(
    scenario: Path | None, flags: Mapping[str, object], profile: Fields | None, settings: Sequence[str]
) -> Plan:
    """Return the plan that a command asks for.

    Args:
        scenario: a TOML file; the defaults without one.
        flags: paths with dots -> value; None: not given.
        profile: takes the place of the scenario's; None: that one stays.
        settings: ``path=value`` of anything else, the value as in TOML.

    Raises:
        FieldError, DataFormatError, InputError: something is not as it must be.
    """
    fields: Fields = {} if scenario is None else read_scenario(scenario).model_dump(mode="json")
    if profile is not None:
        fields["profile"] = profile
    for path, value in flags.items():
        if value is not None:
            _put(fields, path, value)
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign:
            raise FieldError("--set", repr(setting), "path=value, such as traffic.visits.think_s=1.5")
        _put(fields, path.strip(), _value(text.strip()))
    return plan_of(fields, source="plan")


def mix_fields(text: str | None) -> Fields | None:
    """Return what ``--mix`` asks for; None when it was not given."""
    return None if text is None else parse_mix(text).model_dump()


def profile_fields(
    kind: str | None, rate: str | None, duration_s: float | None, connections: int | None
) -> Fields | None:
    """Return the profile that flags ask for; None when none of them was given.

    Raises:
        FieldError: they do not go together.
    """
    if connections is not None:
        if kind or rate:
            raise FieldError("--connections", "--profile or --rate as well", "one: a closed loop has no rate")
        return _without_none({"kind": "closed", "connections": connections, "duration_s": duration_s})
    if kind is None and rate is None and duration_s is None:
        return None
    kind = kind or ("step" if rate and "," in rate else "constant")
    if kind not in _PROFILES:
        raise FieldError("--profile", repr(kind), ", ".join(_PROFILES))
    rates = _rates(rate)
    if len(rates) > 1 and kind not in ("step", "ramp"):
        raise FieldError("--rate", repr(rate), f"one rate for {kind}")
    makers = {"step": _step, "ramp": _ramp, "spike": _spike}
    fields = makers[kind](rates, duration_s) if kind in makers else _flat(rates, duration_s)
    return _without_none({"kind": kind, **fields})


def read_item_ids(path: Path | None) -> tuple[str, ...] | None:
    """Return the ids of a file, one per line; None when there is no file.

    Raises:
        DataFormatError: it cannot be read, or has none.
    """
    if path is None:
        return None
    try:
        found = tuple(line.strip() for line in path.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise DataFormatError(path, "item ids, one per line", str(error)) from error
    if not found:
        raise DataFormatError(path, "item ids, one per line", "none")
    return found


def read_headers(given: Sequence[str]) -> dict[str, str] | None:
    """Return the headers that ``--header`` gives; None when there are none.

    Raises:
        FieldError: one has no colon.
    """
    headers = {}
    for text in given:
        name, sign, value = text.partition(":")
        if not sign:
            raise FieldError("--header", repr(text), "Name: value")
        headers[name.strip()] = value.strip()
    return headers or None


def parse_share(text: str | None) -> float | None:
    """Return a share given in per cent or as a number; None when there is none.

    Raises:
        FieldError: it is neither, or negative.

    >>> parse_share("10%"), parse_share("0.5")
    (0.1, 0.5)
    """
    if text is None:
        return None
    try:
        share = float(text.rstrip("% ")) / (100 if text.rstrip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not share >= 0:
        raise FieldError("--fail-above", repr(text), "a share such as 10% or 0.1")
    return share


def _flat(rates: list[float], duration_s: float | None) -> Fields:
    return {"rate_per_s": rates[0] if rates else None, "duration_s": duration_s}


def _step(rates: list[float], duration_s: float | None) -> Fields:
    n = len(rates) or 3
    return {"rates_per_s": rates or None, "step_s": None if duration_s is None else duration_s / n}


def _ramp(rates: list[float], duration_s: float | None) -> Fields:
    first = rates[0] if len(rates) > 1 else None
    return {"from_per_s": first, "rate_per_s": rates[-1] if rates else None, "duration_s": duration_s}


def _spike(rates: list[float], duration_s: float | None) -> Fields:
    quarter_s = None if duration_s is None else duration_s / 4
    after_s = None if quarter_s is None else 2 * quarter_s
    rate = rates[0] if rates else None
    return {"rate_per_s": rate, "before_s": quarter_s, "spike_s": quarter_s, "after_s": after_s}


def _rates(text: str | None) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise FieldError("--rate", repr(text), "requests per second: 50, or 50,100,200") from None


def _put(fields: Fields, path: str, value: object) -> None:
    *folders, name = path.split(".")
    place = fields
    for folder in folders:
        inner = place.setdefault(folder, {})
        if not isinstance(inner, dict):
            raise FieldError("--set", repr(path), f"a path within the plan: {folder} has nothing in it")
        place = inner
    place[name] = value


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a word needs no quotes


def _without_none(fields: Mapping[str, object]) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
