{{/* Parts of network policies. Most take the root. */}}
{{- define "marquee.release" -}}
app.kubernetes.io/name: {{ include "marquee.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Arguments: root, components. */}}
{{- define "marquee.pods" -}}
matchLabels: {{- include "marquee.release" .root | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ .components | toJson }}}
{{- end }}

{{- define "marquee.egress.names" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "marquee.egress.apiServer" -}}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  {{- with .Values.networkPolicy.apiServer }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "marquee.egress.further" -}}
{{- with .Values.networkPolicy.egress }}
{{- toYaml . }}
{{- end }}
{{- end }}
