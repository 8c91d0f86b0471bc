{{/* What the graph is built from: deployments/settings.py reads it and refuses what it does not know. */}}
{{- define "marquee.graph" -}}
{{- $serve := deepCopy .Values.serve }}
{{- $exposures := $serve.exposures | default dict }}
{{- $folder := ternary "/data/exposures" nil (dig "enabled" true $exposures) }}
{{- $_ := set $serve "exposures" (merge (dict "folder" $folder) (omit $exposures "enabled")) }}
{{- $_ = set $serve "registry" "/data/registry" }}
{{- $_ = set $serve "traffic" (include "marquee.traffic.address" .) }}
{{- $_ = set $serve "state_url" (printf "redis://%s/%d" (include "marquee.redis.address" .) (int .Values.redis.database)) }}
{{- $_ = set $serve "event_log" "/data/events" }}
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
  keep_alive_timeout_s: 30
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
