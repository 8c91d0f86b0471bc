{{/* What a schema cannot say of a plan; the controller would refuse it too, but only once it is installed. */}}
{{- define "marquee.plan" -}}
{{- $shares := list }}
{{- $highest := 0.0 }}
{{- $falls := false }}
{{- range .Values.rollout.steps }}
{{- $share := float64 .share }}
{{- $shares = append $shares (toString .share) }}
{{- if lt $share $highest }}{{ $falls = true }}{{ end }}
{{- $highest = $share }}
{{- if and (eq $share 0.0) (eq (float64 (default 0 .shadow)) 0.0) }}
{{- fail "rollout.steps: a step with share 0 has a shadow, or it would measure nothing" }}
{{- end }}
{{- end }}
{{- if $falls }}{{ fail (printf "rollout.steps: shares rise from step to step, not %s" (join ", " $shares)) }}{{ end }}
{{- .Values.rollout | toJson }}
{{- end }}
