"""Dashboard "serving": what users get, how fast, and what they do without."""

from deployments.dashboards.board import Row, dashboard
from deployments.dashboards.panels import Query, lines, number
from deployments.dashboards.queries import (
    RECOMMEND,
    largest,
    mean,
    or_none,
    or_zero,
    quantile,
    rate,
    series,
    smallest,
    total,
)

_FAILED = f'{RECOMMEND},status=~"5.."'
_SHOWN = 'arm!="shadow"'


def serving() -> str:
    """Return the dashboard."""
    rows = (_now(), _requests(), _latency(), _missing(), _cache(), _overload(), _state(), _catalogue())
    return dashboard(
        "serving", "marquee-serving", "What users get, how fast, and what they do without.", rows
    )


def _now() -> Row:
    asked = rate("marquee_requests_total", where=RECOMMEND)
    failed = or_zero(rate("marquee_requests_total", where=_FAILED))
    shed = or_zero(rate("marquee_shed_total", where='kind="recommend"'))
    found = or_zero(rate("marquee_cache_total", where='found=~"hit|shared"'))
    return Row(
        "Now",
        (
            number("Recommendations", "Answered per second, over all pods.", "reqps", asked),
            number(
                "Errors",
                "Share of recommendations that end in a 5xx. Alert above 1 %: MarqueeErrors.",
                "percentunit",
                f"{failed} / {asked}",
                limits={0.001: "orange", 0.01: "red"},
            ),
            number(
                "99 of 100 within",
                "From a recommendation's arrival to its answer. Alert above half a second: MarqueeSlow.",
                "s",
                quantile(0.99, "marquee_request_seconds", where=RECOMMEND),
                limits={0.2: "orange", 0.5: "red"},
            ),
            number(
                "Degraded",
                "Share of computed answers with something missing. Alert above 5 %: MarqueeDegraded.",
                "percentunit",
                f"{_of_answers('degraded')} / {_of_answers('answers')}",
                limits={0.01: "orange", 0.05: "red"},
            ),
            number(
                "Refused",
                "Share of recommendations refused for want of capacity. Alert above 5 %: MarqueeShedding.",
                "percentunit",
                f"{shed} / ({shed} + {asked})",
                limits={0.001: "orange", 0.05: "red"},
            ),
            number(
                "From the cache",
                "Share of questions whose list was there, or just being computed for another.",
                "percentunit",
                f"{found} / {rate('marquee_cache_total')}",
            ),
        ),
    )


def _of_answers(what: str) -> str:
    return rate("marquee_arm_answers_total", where=f'what="{what}",{_SHOWN}')


def _requests() -> Row:
    failures = rate("marquee_requests_total", "route", "status", where='status=~"5..|499"')
    return Row(
        "Requests",
        (
            lines(
                "Requests by route",
                "Answered per second. What is refused at the gate is under Overload.",
                "reqps",
                Query(rate("marquee_requests_total", "route"), "{{route}}"),
                stacked=True,
            ),
            lines(
                "Requests by status",
                "Answered per second. 4xx: clients' mistakes; 5xx: ours.",
                "reqps",
                Query(rate("marquee_requests_total", "status"), "{{status}}"),
                stacked=True,
            ),
            lines(
                "Failed requests",
                "5xx, which the logs have by request id; 499: the client hung up before anything was sent.",
                "reqps",
                Query(or_none(failures, "route"), "{{route}} {{status}}"),
            ),
        ),
    )


def _latency() -> Row:
    recommend = [
        Query(quantile(q, "marquee_request_seconds", where=RECOMMEND), f"{q * 100:g} of 100 within")
        for q in (0.5, 0.95, 0.99)
    ]
    return Row(
        "Latency",
        (
            lines("Recommendations", "From arrival to answer, cached ones included.", "s", *recommend),
            lines(
                "95 of 100 within, by route",
                "Reads and events beside recommendations.",
                "s",
                Query(quantile(0.95, "marquee_request_seconds", "route"), "{{route}}"),
            ),
            lines(
                "95 of 100 within, by stage and lane",
                "As the router saw it. One lane alone is slow: its bundle, or its replicas.",
                "s",
                Query(quantile(0.95, "marquee_stage_seconds", "stage", "lane"), "{{stage}} {{lane}}"),
            ),
            lines(
                "95 of 100 within, by arm",
                "Computed answers alone; the canary beside the stable arm.",
                "s",
                Query(quantile(0.95, "marquee_arm_seconds", "arm"), "{{arm}}"),
            ),
            lines(
                "Waiting for a batch",
                "How long the first request of a batch waited. It grows when routers are full.",
                "s",
                Query(quantile(0.5, "marquee_batch_wait_seconds"), "half within"),
                Query(quantile(0.95, "marquee_batch_wait_seconds"), "95 of 100 within"),
            ),
            lines(
                "Batch size",
                "Requests that shared one call per stage. One: no load; large: each call does more work.",
                "short",
                Query(mean("marquee_batch_size"), "mean"),
                Query(quantile(0.95, "marquee_batch_size"), "95 of 100 at most"),
            ),
        ),
    )


def _missing() -> Row:
    shares = [
        Query(f"{_of_answers(what)} / {_of_answers('answers')}", what)
        for what in ("degraded", "short", "empty", "errors")
    ]
    return Row(
        "What users do without",
        (
            lines(
                "Degraded answers by stage and reason",
                "Per second: an answer without this stage. The alert MarqueeDegraded says what to do.",
                "reqps",
                Query(or_none(rate("marquee_degraded_total", "stage", "why"), "stage"), "{{stage}} {{why}}"),
            ),
            lines(
                "Share of computed answers",
                "Degraded: a stage is missing. Short: fewer items than asked for. Empty: none.",
                "percentunit",
                *shares,
            ),
            lines(
                "Calls of stages by way",
                "The wire is the short way; Ray Serve is the way around when that does not work.",
                "reqps",
                Query(rate("marquee_stage_calls_total", "stage", "way"), "{{stage}} by {{way}}"),
            ),
        ),
    )


def _cache() -> Row:
    return Row(
        "Cache",
        (
            lines(
                "Questions by what was found",
                "Hit: the list was there. Shared: it was being computed. Left out: nobody could share it.",
                "reqps",
                Query(rate("marquee_cache_total", "kind", "found"), "{{kind}} {{found}}"),
                stacked=True,
            ),
            lines(
                "Age of lists from the cache",
                "When they were served.",
                "s",
                Query(quantile(0.5, "marquee_cache_age_seconds"), "half within"),
                Query(quantile(0.95, "marquee_cache_age_seconds"), "95 of 100 within"),
            ),
            lines(
                "Lists held",
                "In all routers together, and those that leave per minute.",
                "short",
                Query(total("marquee_cache_entries"), "held"),
                Query(
                    f"{or_none(rate('marquee_cache_evictions_total', 'why'), 'why')} * 60",
                    "{{why}}, per minute",
                ),
            ),
        ),
    )


def _overload() -> Row:
    return Row(
        "Overload",
        (
            lines(
                "Refused: too many",
                "503 with Retry-After. Full: no room. Late: it would have waited longer than anybody does.",
                "reqps",
                Query(or_none(rate("marquee_shed_total", "kind", "why"), "kind"), "{{kind}} {{why}}"),
            ),
            lines(
                "Refused: one client asks too often",
                "429, by the sort of key that the client gave.",
                "reqps",
                Query(or_none(rate("marquee_rate_limited_total", "key"), "key"), "{{key}}"),
            ),
            lines(
                "Expected wait",
                "How long a recommendation asked for now would take, in the slowest router.",
                "s",
                Query(largest("marquee_expected_wait_seconds"), "expected wait"),
            ),
        ),
    )


def _state() -> Row:
    stale = f"time() - {smallest('marquee_refreshed_seconds')}"
    return Row(
        "Events, user state and log",
        (
            lines(
                "Events by fate",
                "Per second. Later: on disk, but not in the user state yet.",
                "reqps",
                Query(or_none(rate("marquee_events_total", "fate"), "fate"), "{{fate}}"),
                width=6,
            ),
            lines(
                "Calls of the user state that failed",
                "Readers are taken for anonymous; writes wait on disk. Alert: MarqueeStateErrors.",
                "reqps",
                Query(or_none(rate("marquee_state_errors_total", "call"), "call"), "{{call}}"),
                width=6,
            ),
            lines(
                "Events that wait on disk",
                "How far the user state is behind the event log, in events.",
                "short",
                Query(total("marquee_entries_later"), "waiting"),
                width=6,
            ),
            lines(
                "Age of these figures",
                "Since the slowest router last brought its gauges up to date. Alert: MarqueeMetricsStale.",
                "s",
                Query(stale, "oldest"),
                Query(f"time() - max by (pod) ({series('marquee_refreshed_seconds')})", "{{pod}}"),
                width=6,
            ),
        ),
    )


def _catalogue() -> Row:
    stale = f"time() - ({smallest('marquee_catalogue_overlay_read_seconds')} > 0)"
    return Row(
        "Catalogue, and how soon things have an effect",
        (
            lines(
                "From a catalogue change to its effect",
                "Until all replicas that a router asks serve by it; once per router.",
                "s",
                *(_until("marquee_catalogue_effect_seconds", q) for q in (0.5, 0.99)),
                width=6,
            ),
            lines(
                "From an event to its effect",
                "Until it is in the user state, which the next answers are made from.",
                "s",
                *(_until("marquee_event_effect_seconds", q) for q in (0.5, 0.99)),
                width=6,
            ),
            lines(
                "Items that changed since the bundle",
                "Held by the overlay, 10,000 at most (marquee catalogue prune). Unknown: gone, never known.",
                "short",
                Query(largest("marquee_catalogue_overlay_items"), "held"),
                Query(largest("marquee_catalogue_unknown_items"), "unknown"),
                Query(smallest("marquee_catalogue_overlay_version"), "version, the oldest"),
                width=6,
            ),
            lines(
                "Age of the catalogue overlay",
                "Since it was last read without trouble; what was read then stays in force.",
                "s",
                Query(stale, "oldest"),
                width=6,
            ),
        ),
    )


def _until(histogram: str, q: float) -> Query:
    return Query(quantile(q, histogram), f"p{q * 100:g}")
