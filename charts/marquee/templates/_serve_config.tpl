{{/* What the graph is built from: deployments/settings.py reads it and refuses what it does not know. */}}
{{- define "marquee.graph" -}}
{{- $serve := deepCopy .Values.serve }}
{{- $exposures := $serve.exposures | default dict }}
{{- $folder := ternary "/data/exposures" nil (dig "enabled" true $exposures) }}
{{- /* Routers never all in one pod, where there are more; their number is known without autoscaling alone. */}}
{{- $pods := int .Values.ray.worker.minReplicas }}
{{- if and (gt $pods 1) (kindIs "invalid" $serve.autoscaling) (not (hasKey $serve.router "max_per_node")) }}
{{- $routers := int ($serve.router.replicas | default 2) }}
{{- $_ := set $serve.router "max_per_node" (div (add $routers $pods -1) $pods) }}
{{- end }}
{{- $topic := ternary .Values.eventLog.kafka nil .Values.eventLog.exposures }}
{{- if and .Values.eventLog.exposures (not (and $topic $folder)) }}
{{- fail "eventLog.exposures: published in Kafka is what exposures take down: set eventLog.kafka, and leave serve.exposures.enabled at true" }}
{{- end }}
{{- $_ := set $serve "exposures" (merge (dict "folder" $folder "topic" $topic) (omit $exposures "enabled")) }}
{{- $_ = set $serve "registry" (include "marquee.registry" .) }}
{{- $_ = set $serve "traffic" (include "marquee.traffic.address" .) }}
{{- $_ = set $serve "state_url" (include "marquee.redis.url" .) }}
{{- $_ = set $serve "event_log" (include "marquee.eventLog" .) }}
{{- $_ = set $serve "metrics" "/metrics" }}
{{- $serve | toJson }}
{{- end }}

{{/* Ray Serve's configuration. It ignores keys that it does not know, so a test knows them all. */}}
{{- define "marquee.serveConfig" -}}
{{- $graph := include "marquee.graph" . | fromJson }}
proxy_location: EveryNode
http_options:
  host: 0.0.0.0
  port: 8000
  keep_alive_timeout_s: 75  # deployments/proxy_patience.py says why
applications:
  - name: marquee
    route_prefix: /
    import_path: deployments.graph:build
    {{- if not (kindIs "invalid" $graph.autoscaling) }}
    autoscaling_policy:
      policy_function: deployments.autoscaling.serve_policy:ServePolicy
      policy_kwargs:
        settings: {{ $graph.autoscaling | toJson }}
        lanes: [blue, green]
    {{- end }}
    args:
      {{- $graph | toYaml | nindent 6 }}
{{- end }}
