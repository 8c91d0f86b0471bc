"""Dashboard "rollouts and experiments": where users are, and the arms side by side."""

from deployments.dashboards.board import Row, dashboard
from deployments.dashboards.panels import Panel, Query, lines, named, number, stretches
from deployments.dashboards.queries import (
    largest,
    mean,
    or_none,
    or_zero,
    quantile,
    rate,
    smallest,
)

_YES_NO = {"0": "no", "1": "yes"}


def rollouts() -> str:
    """Return the dashboard."""
    rows = (_now(), _where_users_are(), _arms(), _shadow(), _records(), _document())
    what = "Where users are, how the rollout stands, and the arms side by side."
    return dashboard("rollouts and experiments", "marquee-rollouts", what, rows)


def _now() -> Row:
    phase = f"{largest('marquee_rollout_phase', 'phase')} == 1"
    due = largest("marquee_rollout_due_seconds")
    refused = f"{largest('marquee_bundle_info', 'lane', 'bundle', where=_state('refused'))} == 1"
    return Row(
        "Now",
        (
            named("Phase", "Of the latest rollout.", or_none(phase, "phase"), "{{phase}}"),
            number(
                "Canary's share",
                "Of all users, by the traffic document in force.",
                "percentunit",
                or_zero(largest("marquee_arm_share", where='arm="canary"')),
            ),
            number(
                "Blind",
                "The canary has users and nobody measures them. Alert: MarqueeRolloutBlind.",
                "short",
                largest("marquee_rollout_blind"),
                limits={1: "red"},
                says=_YES_NO,
            ),
            number(
                "Could have gone on for",
                "Only guardrails that cannot decide have kept it since. "
                "Alert after an hour: MarqueeRolloutStuck.",
                "s",
                f"(time() - ({due} > 0)) or vector(0)",
                limits={1_800: "orange", 3_600: "red"},
            ),
            number(
                "Refused bundles",
                "Lanes look at them and do not serve them. Alert: MarqueeBundleRefused.",
                "short",
                f"count({refused}) or vector(0)",
                limits={1: "red"},
            ),
            number(
                "Traffic document",
                "Version in force; of several routers the oldest.",
                "none",
                smallest("marquee_traffic_version"),
            ),
        ),
    )


def _state(state: str) -> str:
    return f'state="{state}"'


def _where_users_are() -> Row:
    in_force = f"{largest('marquee_bundle_info', 'lane', 'bundle', where=_state('in_force'))} == 1"
    refused = f"{largest('marquee_bundle_info', 'lane', 'bundle', where=_state('refused'))} == 1"
    phase = f"{largest('marquee_rollout_phase', 'phase')} == 1"
    return Row(
        "Where users are",
        (
            lines(
                "Share of users per arm",
                "By the traffic document in force.",
                "percentunit",
                Query(largest("marquee_arm_share", "arm"), "{{arm}}"),
                stacked=True,
                most=1.0,
                width=12,
            ),
            lines(
                "Share of answers per arm",
                "Of those that were computed. It follows the share of users unless one arm's users ask more.",
                "percentunit",
                Query(f"{_answers('answers')} / scalar(sum({_answers('answers')}))", "{{arm}}"),
                stacked=True,
                most=1.0,
                width=12,
            ),
            stretches(
                "Phase", "Of the latest rollout.", or_none(phase, "phase"), "{{phase}}", says="now", width=8
            ),
            stretches(
                "Bundles in force",
                "Which lane serves which bundle.",
                in_force,
                "{{lane}} {{bundle}}",
                says="in force",
                width=8,
            ),
            stretches(
                "Bundles refused",
                "A file differs from its digest, or another version made it. /traffic says why.",
                or_none(refused, "bundle"),
                "{{lane}} {{bundle}}",
                says="refused",
                width=8,
            ),
        ),
    )


def _answers(what: str) -> str:
    return rate("marquee_arm_answers_total", "arm", where=f'what="{what}",arm!="shadow"')


def _share_of_answers(what: str, title: str, says: str) -> Panel:
    return lines(
        title, says, "percentunit", Query(f"{_answers(what)} / {_answers('answers')}", "{{arm}}"), width=6
    )


def _arms() -> Row:
    by_lane = quantile(0.95, "marquee_stage_seconds", "stage", "lane", where='lane!=""')
    return Row(
        "Arms side by side",
        (
            _share_of_answers(
                "errors", "Errors", "Questions that met a bug, per answer. Guardrail error_share."
            ),
            _share_of_answers("degraded", "Degraded", "Answers without a stage. Guardrail degraded_share."),
            _share_of_answers("short", "Short", "Fewer items than asked for. Guardrail short_share."),
            _share_of_answers("empty", "Empty", "No items at all. Guardrail empty_share."),
            _latency(0.5),
            _latency(0.95),
            _latency(0.99),
            lines(
                "Answers",
                "Computed per second: how much there is to compare.",
                "reqps",
                Query(_answers("answers"), "{{arm}}"),
                width=8,
            ),
            lines(
                "95 of 100 within, by stage and lane",
                "A canary has a lane of its own: what is slow in it alone is its bundle.",
                "s",
                Query(by_lane, "{{stage}} {{lane}}"),
                width=16,
            ),
        ),
    )


def _latency(q: float) -> Panel:
    says = "From arrival to answer; cached ones say nothing of an arm and are left out."
    query = quantile(q, "marquee_arm_seconds", "arm", where='arm!="shadow"')
    return lines(f"{q * 100:g} of 100 within", says, "s", Query(query, "{{arm}}"))


def _shadow() -> Row:
    return Row(
        "The lane that works unseen, or takes turns",
        (
            lines(
                "Requests by fate",
                "Left out: two batches were under way already.",
                "reqps",
                Query(or_none(rate("marquee_shadow_total", "fate"), "fate"), "{{fate}}"),
                width=6,
            ),
            lines(
                "Interleaved lists by fate",
                "Left out: one of the two lanes had something missing, so the stable list was shown.",
                "reqps",
                Query(or_none(rate("marquee_interleaved_total", "fate"), "fate"), "{{fate}}"),
                width=6,
            ),
            lines(
                "Overlap",
                "Share of an answer's items that the shadow would have shown too; nothing without a shadow.",
                "percentunit",
                Query(mean("marquee_shadow_overlap"), "mean"),
                Query(quantile(0.1, "marquee_shadow_overlap"), "lowest tenth at most"),
                width=6,
                most=1.0,
            ),
            lines(
                "Latency",
                "Of its answers, which nobody waits for; nothing without a shadow.",
                "s",
                Query(quantile(0.5, "marquee_arm_seconds", where='arm="shadow"'), "half within"),
                Query(quantile(0.95, "marquee_arm_seconds", where='arm="shadow"'), "95 of 100 within"),
                width=6,
            ),
        ),
    )


def _records() -> Row:
    exposures = rate("marquee_exposures_total", "fate")
    published = rate("marquee_exposures_published_total", "fate")
    dropped = rate("marquee_exposures_total", where='fate="dropped"')
    return Row(
        "What experiments learn from",
        (
            lines(
                "Exposures",
                "Answers written down; dropped ones are lost to experiments. Published: in Kafka, if asked.",
                "reqps",
                Query(exposures, "{{fate}}"),
                Query(published, "published: {{fate}}"),
                width=12,
            ),
            lines(
                "Share of exposures dropped",
                "Alert above none: MarqueeExposuresDropped.",
                "percentunit",
                Query(f"{dropped} / {rate('marquee_exposures_total')}", "dropped"),
                width=6,
            ),
            lines(
                "Reactions",
                "Events by fate: without them no experiment ends.",
                "reqps",
                Query(or_none(rate("marquee_events_total", "fate"), "fate"), "{{fate}}"),
                width=6,
            ),
        ),
    )


def _document() -> Row:
    return Row(
        "The traffic document",
        (
            lines(
                "Traffic document",
                "Unusable: what is there cannot be used, and the one before it stays in force.",
                "short",
                Query(smallest("marquee_traffic_version"), "version, oldest router"),
                Query(largest("marquee_traffic_version"), "version, newest router"),
                Query(largest("marquee_traffic_unusable"), "unusable"),
                width=12,
            ),
            lines(
                "Looks at a document that could not be used",
                "Per second, over all routers. Alert: MarqueeTrafficUnusable.",
                "reqps",
                Query(rate("marquee_traffic_refused_total"), "looks"),
                width=12,
            ),
        ),
    )
