{{- define "marquee.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 47 | trimSuffix "-" }}
{{- end }}

{{/* KubeRay makes longer names out of this one, and takes no more than 47 characters. */}}
{{- define "marquee.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride }}
{{- $full | trunc 47 | trimSuffix "-" }}
{{- end }}

{{/* What selects pods; never changes. Arguments: root, component. */}}
{{- define "marquee.selector" -}}
app.kubernetes.io/name: {{ include "marquee.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Arguments: root, component. */}}
{{- define "marquee.labels" -}}
{{ include "marquee.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: marquee
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "marquee.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "marquee.account.ray" -}}
{{- .Values.serviceAccounts.ray | default (printf "%s-ray" (include "marquee.fullname" .)) }}
{{- end }}

{{- define "marquee.account.controller" -}}
{{- .Values.serviceAccounts.controller | default (printf "%s-controller" (include "marquee.fullname" .)) }}
{{- end }}

{{- define "marquee.account.live" -}}
{{- .Values.serviceAccounts.live | default (printf "%s-live" (include "marquee.fullname" .)) }}
{{- end }}

{{- define "marquee.eventLog" -}}
{{ .Values.eventLog.kafka | default "/data/events" }}
{{- end }}

{{- define "marquee.redis.address" -}}
{{- if .Values.redis.enabled }}{{ include "marquee.fullname" . }}-redis:6379
{{- else }}{{ required "redis.address: host:port of your Redis, for redis.enabled is false" .Values.redis.address }}{{ end }}
{{- end }}

{{- define "marquee.redis.username" -}}
{{- if not .Values.redis.enabled }}{{ .Values.redis.username }}{{ end }}
{{- end }}

{{/* Of user state. It has no password: that is in MARQUEE_STATE_PASSWORD. */}}
{{- define "marquee.redis.url" -}}
{{- $scheme := ternary "rediss" "redis" (and .Values.redis.tls (not .Values.redis.enabled)) }}
{{- $user := include "marquee.redis.username" . }}
{{- printf "%s://%s%s/%d" $scheme (ternary (printf "%s@" $user) "" (ne $user "")) (include "marquee.redis.address" .) (int .Values.redis.database) }}
{{- end }}

{{- define "marquee.traffic.name" -}}
{{ include "marquee.fullname" . }}-traffic
{{- end }}

{{- define "marquee.traffic.address" -}}
configmap://{{ .Release.Namespace }}/{{ include "marquee.traffic.name" . }}
{{- end }}

{{- define "marquee.registry" -}}
{{ .Values.registry.address | default "/data/registry" }}
{{- end }}

{{- define "marquee.lake" -}}
{{ .Values.ingest.lake | default "/data/lake" }}
{{- end }}

{{/* Environment of all that runs our image, the commands included, so that `kubectl exec` needs no options. */}}
{{- define "marquee.environment" -}}
- {name: MARQUEE_TRAFFIC, value: {{ include "marquee.traffic.address" . | quote }}}
- {name: MARQUEE_REGISTRY, value: {{ include "marquee.registry" . | quote }}}
- {name: MARQUEE_HOME, value: /data}
{{- with .Values.ingest.lake }}
- {name: MARQUEE_LAKE, value: {{ . | quote }}}
{{- end }}
- {name: MARQUEE_URL, value: "http://{{ include "marquee.fullname" . }}-serve-svc:8000"}
{{- if .Values.registry.address }}
- {name: MARQUEE_CACHE, value: /cache}
{{- end }}
{{- with .Values.exposuresKey.existingSecret }}
- {name: MARQUEE_EXPOSURES_KEY, value: /secrets/exposures/key}
{{- end }}
{{- with .Values.privacyKey.existingSecret }}
- {name: MARQUEE_PRIVACY_KEY, value: /secrets/privacy/key}
{{- end }}
{{- with .Values.eventLog.existingSecret }}
- {name: MARQUEE_KAFKA_PROPERTIES, value: /secrets/kafka/properties}
{{- end }}
{{- with .Values.redis.existingSecret }}
- name: MARQUEE_STATE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $.Values.redis.passwordKey }}}}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Empty when there is nothing. */}}
{{- define "marquee.environmentFrom" -}}
{{- with .Values.registry.existingSecret }}
- secretRef: {name: {{ . }}}
{{- end }}
{{- with .Values.extraEnvFrom }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "marquee.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
{{- if .Values.registry.address }}
- {name: cache, mountPath: /cache}
{{- end }}
{{- if .Values.exposuresKey.existingSecret }}
- {name: exposures-key, mountPath: /secrets/exposures, readOnly: true}
{{- end }}
{{- if .Values.privacyKey.existingSecret }}
- {name: privacy-key, mountPath: /secrets/privacy, readOnly: true}
{{- end }}
{{- if .Values.eventLog.existingSecret }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- end }}

{{- define "marquee.volumes" -}}
- {{ include "marquee.data.volume" . | nindent 2 | trim }}
- name: tmp
  emptyDir: {}
{{- if .Values.registry.address }}
- name: cache
  emptyDir: {}
{{- end }}
{{- with .Values.exposuresKey.existingSecret }}
- name: exposures-key
  secret:
    secretName: {{ . }}
    items: [{key: {{ $.Values.exposuresKey.key }}, path: key}]
{{- end }}
{{- with .Values.privacyKey.existingSecret }}
- name: privacy-key
  secret:
    secretName: {{ . }}
    items: [{key: {{ $.Values.privacyKey.key }}, path: key}]
{{- end }}
{{- with .Values.eventLog.existingSecret }}
- name: kafka
  secret:
    secretName: {{ . }}
    items: [{key: {{ $.Values.eventLog.key }}, path: properties}]
{{- end }}
{{- end }}

{{- define "marquee.data.volume" -}}
{{- $kind := .Values.persistence.kind -}}
name: data
{{- if eq $kind "emptyDir" }}
emptyDir: {}
{{- else if eq $kind "hostPath" }}
hostPath:
  path: {{ required "persistence.hostPath: a folder of the node, for persistence.kind is hostPath" .Values.persistence.hostPath }}
  type: Directory
{{- else }}
persistentVolumeClaim:
  {{- if eq $kind "claim" }}
  claimName: {{ include "marquee.fullname" . }}-data
  {{- else }}
  claimName: {{ required "persistence.existingClaim: a claim's name, for persistence.kind is existingClaim" .Values.persistence.existingClaim }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Arguments: root, component, of (a group of values with nodeSelector, tolerations and so on). */}}
{{- define "marquee.placement" -}}
{{- with .of.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- $usual := dict "maxSkew" 1 "whenUnsatisfiable" "ScheduleAnyway" "labelSelector" (dict "matchLabels" (include "marquee.selector" . | fromYaml)) }}
{{- with .of.topologySpreadConstraints }}
topologySpreadConstraints:
{{- range . }}
  - {{ merge (deepCopy .) (deepCopy $usual) | toYaml | nindent 4 | trim }}
{{- end }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Of what Prometheus and Grafana look for. Arguments: root, labels. */}}
{{- define "marquee.monitorLabels" -}}
{{- merge (deepCopy .labels) (include "marquee.labels" (dict "root" .root "component" "metrics") | fromYaml) | toYaml }}
{{- end }}
