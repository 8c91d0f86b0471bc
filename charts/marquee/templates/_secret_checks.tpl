{{/*
Refuses while a Secret that values name is not there, or lacks its key. That is only known where the API server is
asked, which `helm template` and a namespace that is still to be made are not: pods then wait for it and say so.
*/}}
{{- define "marquee.secretsAreThere" -}}
{{- if and .Values.checkSecrets (lookup "v1" "ServiceAccount" .Release.Namespace "default") }}
{{- range $value, $key := include "marquee.secrets" . | fromYaml }}
{{- $name := get (get $.Values (splitList "." $value | first)) "existingSecret" }}
{{- $found := lookup "v1" "Secret" $.Release.Namespace $name }}
{{- if not $found }}
{{- fail (printf "%s: there is no Secret %s in namespace %s: kubectl -n %s create secret generic %s --from-literal=%s=..." $value $name $.Release.Namespace $.Release.Namespace $name (default "KEY" $key)) }}
{{- else if and $key (not (hasKey $found.data $key)) }}
{{- fail (printf "%s: Secret %s has no key %s, only %s" $value $name $key (keys $found.data | sortAlpha | join ", ")) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The values that name a Secret, and the key that it has to have; empty: any. */}}
{{- define "marquee.secrets" -}}
{{- $named := dict }}
{{- if .Values.registry.existingSecret }}{{ $_ := set $named "registry.existingSecret" "" }}{{ end }}
{{- if .Values.redis.existingSecret }}{{ $_ := set $named "redis.existingSecret" .Values.redis.passwordKey }}{{ end }}
{{- if .Values.exposuresKey.existingSecret }}{{ $_ := set $named "exposuresKey.existingSecret" .Values.exposuresKey.key }}{{ end }}
{{- if .Values.privacyKey.existingSecret }}{{ $_ := set $named "privacyKey.existingSecret" .Values.privacyKey.key }}{{ end }}
{{- if .Values.eventLog.existingSecret }}{{ $_ := set $named "eventLog.existingSecret" .Values.eventLog.key }}{{ end }}
{{- toYaml $named }}
{{- end }}
