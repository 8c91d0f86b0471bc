{{- define "marquee-job.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 42 | trimSuffix "-" }}
{{- end }}

{{/* KubeRay takes 47 characters; a hyphen and the number of the release are the last five. */}}
{{- define "marquee-job.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := default (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) .Values.fullnameOverride }}
{{- printf "%s-%d" ($full | trunc 42 | trimSuffix "-") .Release.Revision }}
{{- end }}

{{- define "marquee-job.labels" -}}
app.kubernetes.io/name: {{ include "marquee-job.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: marquee
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "marquee-job.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* A pod of Ray. Arguments: root, component, of (values of the group). */}}
{{- define "marquee-job.pod" -}}
{{- $root := .root }}
metadata:
  labels:
    {{- include "marquee-job.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  automountServiceAccountToken: false
  {{- with $root.Values.serviceAccount }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with .of.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .of.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .of.affinity }}
  affinity: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .of.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: ray-{{ .component }}
      image: {{ include "marquee-job.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext: {{- toYaml $root.Values.securityContext | nindent 8 }}
      resources: {{- toYaml .of.resources | nindent 8 }}
      env:
        - {name: MARQUEE_HOME, value: /data}
        - {name: MARQUEE_REGISTRY, value: {{ $root.Values.registry.address | default "/data/registry" | quote }}}
        - {name: MARQUEE_CACHE, value: /tmp/bundles}
        {{- with $root.Values.url }}
        - {name: MARQUEE_URL, value: {{ . | quote }}}
        {{- end }}
        {{- with $root.Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or $root.Values.registry.existingSecret $root.Values.extraEnvFrom }}
      envFrom:
        {{- with $root.Values.registry.existingSecret }}
        - secretRef: {name: {{ . }}}
        {{- end }}
        {{- with $root.Values.extraEnvFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: data
      {{- with $root.Values.persistence }}
      {{- if eq .kind "existingClaim" }}
      persistentVolumeClaim: {claimName: {{ required "persistence.existingClaim: a claim's name, for persistence.kind is existingClaim" .existingClaim }}}
      {{- else if eq .kind "hostPath" }}
      hostPath: {path: {{ required "persistence.hostPath: a folder of the node, for persistence.kind is hostPath" .hostPath }}, type: Directory}
      {{- else }}
      emptyDir: {}
      {{- end }}
      {{- end }}
    - name: tmp
      emptyDir: {}
{{- end }}

{{- define "marquee-job.startParameters" -}}
{{- if hasKey . "numCpus" }}num-cpus: {{ .numCpus | quote }}{{ else }}{}{{ end }}
{{- end }}
