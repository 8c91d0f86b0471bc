"""Every metric of ours, as docs/metrics.md lists them.

Where ``PROMETHEUS_MULTIPROC_DIR`` names a folder, every process that imports this adds its own to files there
(:mod:`deployments.metrics_files`). Without that variable a process knows its own figures alone.
"""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_DIGITS = (1, 1.5, 2, 3, 5, 7)
_COMPARED_SECONDS = tuple(round(digit * unit, 4) for unit in (0.001, 0.01, 0.1, 1.0) for digit in _DIGITS)
"""Finer, for quantiles of one arm are compared with those of another."""
_EFFECT_SECONDS = (0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

REQUESTS = Counter("marquee_requests", "Requests answered", ["route", "status"])
REQUEST_SECONDS = Histogram(
    "marquee_request_seconds", "From the request's arrival to its answer", ["route"], buckets=_SECONDS
)
BATCH_SIZE = Histogram("marquee_batch_size", "Requests that shared one call per stage", buckets=_SIZES)
STAGE_SECONDS = Histogram(
    "marquee_stage_seconds",
    "What a stage took, as the router saw it",
    ["stage", "lane"],
    buckets=_COMPARED_SECONDS,
)
STAGE_CALLS = Counter(
    "marquee_stage_calls",
    "Calls of a stage: by wire, or through Ray Serve",
    ["stage", "way"],
)
ARM_ANSWERS = Counter(
    "marquee_arm_answers",
    "Computed for users whom chance dealt to the arm: answers; degraded, empty, short ones; errors",
    ["arm", "what"],
)
ARM_SECONDS = Histogram(
    "marquee_arm_seconds",
    "From a request's arrival at the router to its answer, of those same answers",
    ["arm"],
    buckets=_COMPARED_SECONDS,
)
SHADOW_FATES = Counter(
    "marquee_shadow", "Requests for the lane that works unseen: compared, failed, left_out", ["fate"]
)
SHADOW_OVERLAP = Histogram(
    "marquee_shadow_overlap",
    "Share of the items of an answer that the shadow would have shown too",
    buckets=tuple(step / 10 for step in range(11)),
)
INTERLEAVED_FATES = Counter(
    "marquee_interleaved", "Lists that two lanes should take turns in: drafted, failed, left_out", ["fate"]
)
TRAFFIC_REFUSED = Counter(
    "marquee_traffic_refused",
    "Looks at a traffic document that could not be used; the one before it stays in force",
)
DEGRADED = Counter("marquee_degraded", "Answers without this stage", ["stage", "why"])
BATCH_WAIT_SECONDS = Histogram(
    "marquee_batch_wait_seconds", "How long the first request of a batch waited for it", buckets=_SECONDS
)
SHED = Counter(
    "marquee_shed",
    "Requests refused because too many were there: full, or late for the wait to come",
    ["kind", "why"],
)
RATE_LIMITED = Counter(
    "marquee_rate_limited",
    "Requests refused because their client asks too often: known-key, other-key, no-key",
    ["key"],
)
EVENTS = Counter(
    "marquee_events",
    "Events by what became of them: accepted, duplicate, later, rejected and so on",
    ["fate"],
)
EXPOSURES = Counter(
    "marquee_exposures", "Answers by what became of their exposure: written, dropped", ["fate"]
)
EXPOSURES_PUBLISHED = Counter(
    "marquee_exposures_published", "Exposures by what became of their message: written, dropped", ["fate"]
)
CACHE = Counter(
    "marquee_cache",
    "Questions by who could share the answer and what was found: hit, shared, miss, left_out",
    ["kind", "found"],
)
CACHE_AGE_SECONDS = Histogram(
    "marquee_cache_age_seconds",
    "How old lists from the cache were when they were served",
    buckets=(*_SECONDS, 10.0),
)
CACHE_EVICTIONS = Counter(
    "marquee_cache_evictions", "Lists that left the cache: full, old, forgotten", ["why"]
)
STATE_ERRORS = Counter("marquee_state_errors", "Calls of the user state that failed: read, write", ["call"])

BUNDLE_INFO = Gauge(
    "marquee_bundle_info",
    "1 for bundles in_force and bundles refused, per lane; 0 for those of before",
    ["lane", "bundle", "state"],
    multiprocess_mode="livemax",
)
TRAFFIC_VERSION = Gauge(
    "marquee_traffic_version",
    "Version of the traffic document in force, 0 before there is one; of several routers the oldest",
    multiprocess_mode="livemin",
)
TRAFFIC_UNUSABLE = Gauge(
    "marquee_traffic_unusable",
    "1 while the document that is there cannot be used",
    multiprocess_mode="livemax",
)
ARM_SHARE = Gauge(
    "marquee_arm_share",
    "Share of the users that the arm has by the document in force",
    ["arm"],
    multiprocess_mode="livemax",
)
ROLLOUT_PHASE = Gauge(
    "marquee_rollout_phase", "1 for the phase of the latest rollout", ["phase"], multiprocess_mode="livemax"
)
ROLLOUT_BLIND = Gauge(
    "marquee_rollout_blind",
    "1 while a canary has users and its controller has no fresh measurements",
    multiprocess_mode="livemax",
)
ROLLOUT_DUE = Gauge(
    "marquee_rollout_due_seconds",
    "Unix time from which on only measurements keep the rollout where it is; 0 when nobody waits for it",
    multiprocess_mode="livemax",
)
CACHE_ENTRIES = Gauge("marquee_cache_entries", "Lists held in caches", multiprocess_mode="livesum")
CACHE_BYTES = Gauge(
    "marquee_cache_bytes", "About what lists held in caches take in memory", multiprocess_mode="livesum"
)
ENTRIES_LATER = Gauge(
    "marquee_entries_later",
    "Events that are on disk and wait for the user state to come back",
    multiprocess_mode="livesum",
)
INSIDE = Gauge("marquee_inside", "Requests inside routers", ["kind"], multiprocess_mode="livesum")
EXPECTED_WAIT_SECONDS = Gauge(
    "marquee_expected_wait_seconds",
    "How long a recommendation asked for now would take; in the slowest router",
    multiprocess_mode="livemax",
)
CATALOGUE_ITEMS = Gauge(
    "marquee_catalogue_overlay_items",
    "Items of which the overlay tells; it refuses more than it has room for",
    multiprocess_mode="livemax",
)
CATALOGUE_VERSION = Gauge(
    "marquee_catalogue_overlay_version",
    "Version of the overlay in force; of several routers the oldest",
    multiprocess_mode="livemin",
)
CATALOGUE_READ_SECONDS = Gauge(
    "marquee_catalogue_overlay_read_seconds",
    "Unix time at which the overlay was last read without trouble; of several routers the earliest",
    multiprocess_mode="livemin",
)
CATALOGUE_UNKNOWN = Gauge(
    "marquee_catalogue_unknown_items",
    "Items that the overlay says are gone and that the bundle never had: nothing to do",
    multiprocess_mode="livemax",
)
CATALOGUE_EFFECT_SECONDS = Histogram(
    "marquee_catalogue_effect_seconds",
    "From a catalogue change's acceptance until all that this router asks serve by it; once per router",
    buckets=_EFFECT_SECONDS,
)
EVENT_EFFECT_SECONDS = Histogram(
    "marquee_event_effect_seconds",
    "From a call of POST /events until its events are in the user state that the next answers are made from",
    buckets=(*_SECONDS, 10.0, 60.0, 600.0),
)
REFRESHED_SECONDS = Gauge(
    "marquee_refreshed_seconds",
    "Unix time at which a router last brought its gauges up to date; of several routers the earliest",
    multiprocess_mode="livemin",
)
