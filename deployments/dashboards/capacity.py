"""Dashboard "capacity": replicas, queues, and what they take of CPU and memory."""

from deployments.dashboards.board import Row, dashboard
from deployments.dashboards.panels import Query, lines, number
from deployments.dashboards.queries import largest, rate, series, total

_REPLICA = "ray::ServeReplica:[^:]+:([a-z]+(-[a-z]+)?).*"  # a name ends with what the process does just now
_CORES = 'Name="CPU"'


def capacity() -> str:
    """Return the dashboard."""
    rows = (_now(), _replicas(), _queues(), _pods(), _processes())
    what = "Replicas and pods, what waits for them, and what they take, as they and Ray say."
    return dashboard("capacity", "marquee-capacity", what, rows)


def _used(part: str, whole: str) -> str:
    return f"{largest(part, 'pod')} / {largest(whole, 'pod')}"


def _now() -> Row:
    memory = _used("ray_node_mem_used", "ray_node_mem_total")
    promised = total("ray_resources", where='Name="CPU",State="USED"')
    healthy = f"sum({series('ray_serve_deployment_replica_healthy')})"
    return Row(
        "Now",
        (
            number("Replicas", "Processes of the graph that answer their health checks.", "short", healthy),
            number(
                "Replicas missing",
                "Wanted and not there yet: they start, or find no room.",
                "short",
                f"sum({series('ray_serve_autoscaling_target_replicas')}) - {healthy}",
                limits={1: "orange"},
            ),
            number(
                "Pods",
                "Of the Ray cluster, the head included.",
                "short",
                f"max({series('ray_cluster_active_nodes')})",
            ),
            number(
                "Cores promised",
                "Share of the cores that Ray counts; what does not fit makes the autoscaler ask for a pod.",
                "percentunit",
                f"{promised} / {total('ray_resources', where=_CORES)}",
                limits={0.9: "orange"},
            ),
            number(
                "Busiest pod",
                "CPU in use, share of its cores.",
                "percentunit",
                f"max({series('ray_node_cpu_utilization')}) / 100",
                limits={0.8: "orange", 0.95: "red"},
            ),
            number(
                "Fullest pod",
                "Memory in use, share of what it may use. At 100 % its processes are killed.",
                "percentunit",
                f"max({memory})",
                limits={0.8: "orange", 0.9: "red"},
            ),
        ),
    )


def _replicas() -> Row:
    started = rate("ray_serve_deployment_replica_starts_total", "deployment")
    return Row(
        "Replicas",
        (
            lines(
                "Healthy replicas",
                "Per deployment: routers, and recall and ranking of each lane.",
                "short",
                Query(total("ray_serve_deployment_replica_healthy", "deployment"), "{{deployment}}"),
            ),
            lines(
                "Wanted replicas",
                "By the autoscaling, or as set.",
                "short",
                Query(largest("ray_serve_autoscaling_target_replicas", "deployment"), "{{deployment}}"),
            ),
            lines(
                "Replicas started",
                "Per minute. Without a change of scale or of settings: something dies and comes back.",
                "short",
                Query(f"{started} * 60", "{{deployment}}"),
            ),
        ),
    )


def _queues() -> Row:
    return Row(
        "What waits",
        (
            lines(
                "Requests inside routers",
                "By kind, over all pods.",
                "short",
                Query(total("marquee_inside", "kind"), "{{kind}}"),
                stacked=True,
                width=6,
            ),
            lines(
                "Recommendations per pod",
                "Inside its routers. Uneven: the balancer fills one router before the next, which is meant.",
                "short",
                Query(total("marquee_inside", "pod", where='kind="recommend"'), "{{pod}}"),
                width=6,
            ),
            lines(
                "Expected wait",
                "How long a recommendation asked for now would take, in the slowest router of a pod.",
                "s",
                Query(largest("marquee_expected_wait_seconds", "pod"), "{{pod}}"),
                width=6,
            ),
            lines(
                "Time of the stages",
                "Seconds of recall and ranking per second: so many calls are under way at once.",
                "short",
                Query(
                    rate("marquee_stage_seconds_sum", "stage", "lane", where='lane!=""'), "{{stage}} {{lane}}"
                ),
                width=6,
            ),
        ),
    )


def _pods() -> Row:
    disk = f"({series('ray_node_disk_usage')} + {series('ray_node_disk_free')})"
    return Row(
        "Pods",
        (
            lines(
                "CPU",
                "Share of each pod's cores.",
                "percentunit",
                Query(f"{largest('ray_node_cpu_utilization', 'pod')} / 100", "{{pod}}"),
                width=6,
            ),
            lines(
                "Memory",
                "Share of what each pod may use.",
                "percentunit",
                Query(_used("ray_node_mem_used", "ray_node_mem_total"), "{{pod}}"),
                width=6,
                most=1.0,
            ),
            lines(
                "Cores",
                "What pods have, what Ray has promised to replicas, and what is in use.",
                "short",
                Query(total("ray_node_cpu_count"), "there"),
                Query(total("ray_resources", where='Name="CPU",State="USED"'), "promised"),
                Query(
                    f"sum({series('ray_node_cpu_utilization')} / 100 * {series('ray_node_cpu_count')})",
                    "in use",
                ),
                width=6,
            ),
            lines(
                "Disk",
                "Share in use of the disk that Ray's temporary folder lies on.",
                "percentunit",
                Query(f"max by (pod) ({series('ray_node_disk_usage')} / {disk})", "{{pod}}"),
                width=6,
                most=1.0,
            ),
        ),
    )


def _processes() -> Row:
    replicas = f'Component=~"{_REPLICA}"'
    others = 'Component=~"gcs|raylet|agent|ray::ServeController|ray::ProxyActor|ray::HAProxyManager"'
    return Row(
        "Processes",
        (
            lines(
                "CPU of replicas",
                "Cores in use per deployment. HAProxy is not among them: Ray does not count it.",
                "short",
                Query(f"{_per_deployment('ray_component_cpu_percentage', replicas)} / 100", "{{deployment}}"),
                stacked=True,
                width=6,
            ),
            lines(
                "Memory of replicas",
                "Per deployment, without what processes share, such as a bundle's files.",
                "bytes",
                Query(_per_deployment("ray_component_uss_bytes", replicas), "{{deployment}}"),
                stacked=True,
                width=6,
            ),
            lines(
                "CPU of Ray's own processes",
                "Cores in use, over all pods.",
                "short",
                Query(
                    f"{total('ray_component_cpu_percentage', 'Component', where=others)} / 100",
                    "{{Component}}",
                ),
                width=6,
            ),
            lines(
                "Memory of caches",
                "About what lists held in caches take, per pod.",
                "bytes",
                Query(total("marquee_cache_bytes", "pod"), "{{pod}}"),
                width=6,
            ),
        ),
    )


def _per_deployment(metric: str, where: str) -> str:
    named = f'label_replace({series(metric, where)}, "deployment", "$1", "Component", "{_REPLICA}")'
    return f"sum by (deployment) ({named})"
