"""What the dashboards take from Ray's own page of a pod (port 8080 under KubeRay), as Ray 2.60 names it."""

from typing import Final

RAY_METRICS: Final = {
    "ray_serve_deployment_replica_healthy": "1 per replica that answers its health checks",
    "ray_serve_autoscaling_target_replicas": "How many replicas a deployment is to have",
    "ray_serve_deployment_replica_starts_total": "Replicas that were started",
    "ray_cluster_active_nodes": "Pods that belong to the Ray cluster",
    "ray_resources": "Cores that Ray counts: promised to replicas (USED) or not (AVAILABLE)",
    "ray_node_cpu_utilization": "Of the pod's cores, in percent",
    "ray_node_cpu_count": "Cores of the pod",
    "ray_node_mem_used": "Bytes in use in the pod",
    "ray_node_mem_total": "Bytes that the pod may use",
    "ray_node_disk_usage": "Bytes in use on the disk of Ray's temporary folder",
    "ray_node_disk_free": "Bytes free there",
    "ray_component_cpu_percentage": "Of one core, per sort of process",
    "ray_component_uss_bytes": "Memory that no other process shares, per sort of process",
}
"""Every one that a panel asks for, and what it says."""
