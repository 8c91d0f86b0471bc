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

{{- define "marquee.redis.address" -}}
{{- if .Values.redis.enabled }}{{ include "marquee.fullname" . }}-redis:6379
{{- else }}{{ required "redis.address: host:port of your Redis, for redis.enabled is false" .Values.redis.address }}{{ end }}
{{- end }}

{{- define "marquee.traffic.name" -}}
{{ include "marquee.fullname" . }}-traffic
{{- end }}

{{- define "marquee.traffic.address" -}}
configmap://{{ .Release.Namespace }}/{{ include "marquee.traffic.name" . }}
{{- end }}

{{/* Environment of the commands, so that `kubectl exec` needs no options. */}}
{{- define "marquee.environment" -}}
- {name: MARQUEE_TRAFFIC, value: {{ include "marquee.traffic.address" . | quote }}}
- {name: MARQUEE_REGISTRY, value: /data/registry}
- {name: MARQUEE_HOME, value: /data}
- {name: MARQUEE_URL, value: "http://{{ include "marquee.fullname" . }}-serve-svc:8000"}
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

{{/* Arguments: a group of values with nodeSelector, tolerations, affinity and priorityClassName. */}}
{{- define "marquee.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
