"""Dashboard "live": events on their way into the lake, and whether the world has moved."""

from deployments.dashboards.board import Row, dashboard
from deployments.dashboards.panels import Query, lines, named, number, stretches
from deployments.dashboards.queries import largest, or_none, or_zero, rate, series, smallest, total


def live() -> str:
    """Return the dashboard."""
    rows = (_now(), _events(), _what_was_wrong(), _drift())
    what = (
        "Events on their way into user state and lake, and whether the world has moved away from the bundle."
    )
    return dashboard("live", "marquee-live", what, rows)


def _now() -> Row:
    alarmed = f"{largest('marquee_drift_alarmed', 'feature')} == 1"
    return Row(
        "Now",
        (
            number(
                "Behind",
                "Age of the latest event applied. Alert, while something waits: MarqueeIngestBehind.",
                "s",
                largest("marquee_ingest_behind_seconds"),
                limits={60: "orange", 300: "red"},
            ),
            number(
                "To go",
                "Messages of Kafka, or bytes of the log's files, that were not read yet.",
                "short",
                or_zero(total("marquee_ingest_lag")),
            ),
            number(
                "Dead letters",
                "Messages of the last hour that could not be used. Alert: MarqueeIngestDeadLetters.",
                "short",
                f"sum(increase({series('marquee_ingest_dead_letters_total')}[1h]))",
                limits={1: "orange"},
            ),
            number(
                "Lost",
                "Positions that retention took before they were read, in the last day. "
                "Alert: MarqueeIngestLost.",
                "short",
                f"sum(increase({series('marquee_ingest_missing_total')}[1d]))",
                limits={1: "red"},
            ),
            named(
                "Moved",
                "Features that are alarmed: they have moved away from what the bundle was made of. "
                "Alert: MarqueeDrift.",
                or_none(alarmed, "feature"),
                "{{feature}}",
            ),
            number(
                "Looked for drift",
                "So long ago. Alert after an hour: MarqueeDriftSilent.",
                "s",
                f"time() - {smallest('marquee_drift_looked_seconds')}",
                limits={1_800: "orange", 3_600: "red"},
            ),
        ),
    )


def _events() -> Row:
    return Row(
        "Events",
        (
            lines(
                "Messages",
                "By what became of them. Duplicates where routers apply events to the same state themselves.",
                "ops",
                Query(rate("marquee_ingest_messages_total", "fate"), "{{fate}}"),
                stacked=True,
            ),
            lines(
                "Rows of the lake",
                "New ones, and events that stood there already: sent twice, or read again.",
                "ops",
                Query(rate("marquee_ingest_landed_total"), "new"),
                Query(rate("marquee_ingest_known_total"), "known"),
            ),
            lines(
                "Changes of the catalogue",
                "By what the overlay made of them. Full: it has no more room (marquee catalogue prune).",
                "ops",
                Query(rate("marquee_ingest_overlaid_total", "fate"), "{{fate}}"),
                stacked=True,
            ),
            lines(
                "To go, by source",
                "A partition of Kafka or a file. What only grows is read too slowly, or not at all.",
                "short",
                Query(total("marquee_ingest_lag", "source"), "{{source}}"),
                stacked=True,
            ),
        ),
    )


def _what_was_wrong() -> Row:
    return Row(
        "What was wrong",
        (
            lines(
                "Dead letters, by reason",
                "They stand in the topic PREFIX.dead-letters, or in dead-letters.jsonl beside the lake.",
                "ops",
                Query(rate("marquee_ingest_dead_letters_total", "reason"), "{{reason}}"),
            ),
            lines(
                "Troubles",
                "Tries that failed and were made again, by what could not be reached. "
                "Alert: MarqueeIngestTroubles.",
                "ops",
                Query(or_none(rate("marquee_ingest_troubles_total", "part"), "part"), "{{part}}"),
            ),
            lines(
                "Late, out of order",
                "They count all the same: events of over a day ago, and events older than one before them.",
                "ops",
                Query(rate("marquee_ingest_late_total"), "late"),
                Query(rate("marquee_ingest_out_of_order_total"), "out of order"),
            ),
            lines(
                "Batches",
                "That stand in their table; none while nothing comes.",
                "ops",
                Query(rate("marquee_ingest_commits_total"), "committed"),
                width=24,
            ),
        ),
    )


def _drift() -> Row:
    over = (
        f"{largest('marquee_drift_divergence', 'feature')} / {largest('marquee_drift_threshold', 'feature')}"
    )
    return Row(
        "Drift",
        (
            lines(
                "Divergence over its threshold",
                "Of the latest window that is over, by feature: above 1 a feature has moved.",
                "short",
                Query(over, "{{feature}}"),
                width=16,
            ),
            lines(
                "Age of that window",
                "It grows for as long as a window is, and the grace for late events.",
                "s",
                Query(f"time() - {largest('marquee_drift_window_end_seconds')}", "ended ago"),
            ),
            stretches(
                "Alarmed",
                "From when to when; what was done about it stands in the watcher's alarms.jsonl.",
                largest("marquee_drift_alarmed", "feature"),
                "{{feature}}",
                says="moved",
            ),
            lines(
                "Windows, alarms",
                "That were looked at and that were raised, since the watcher's first day.",
                "short",
                Query(largest("marquee_drift_windows_total"), "windows"),
                Query(largest("marquee_drift_alarms_total"), "alarms"),
                width=12,
            ),
        ),
    )
