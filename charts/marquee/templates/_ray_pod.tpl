{{/*
A pod of Ray, head or worker. Arguments: root, component, of (values of the group), and for a worker ports.
The variables have to be the same in all of them: Ray's processes read them as they start.
*/}}
{{- define "marquee.rayPod" -}}
{{- $root := .root }}
metadata:
  {{- /* No version and no chart: whatever changes here makes KubeRay start a new cluster. */}}
  labels:
    {{- include "marquee.selector" . | nindent 4 }}
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "marquee.account.ray" $root }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext: {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  {{- with include "marquee.placement" .of | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: ray-{{ .component }}
      image: {{ include "marquee.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      securityContext: {{- toYaml $root.Values.securityContext | nindent 8 }}
      resources: {{- toYaml .of.resources | nindent 8 }}
      env:
        {{- include "marquee.environment" $root | nindent 8 }}
        {{- range $name, $value := $root.Files.Get "files/serve-environment.json" | fromJson }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        - {name: RAY_SERVE_HAPROXY_MAXCONN, value: {{ $root.Values.proxy.maxConnections | quote }}}
        - {name: RAY_SERVE_HAPROXY_NBTHREAD, value: {{ $root.Values.proxy.threads | quote }}}
        {{- with .of.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        {{- if eq .component "head" }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: client, containerPort: 10001}
        {{- end }}
        - {name: serve, containerPort: 8000}
      volumeMounts:
        - {name: data, mountPath: /data}
        - {name: figures, mountPath: /metrics}
        - {name: tmp, mountPath: /tmp}
    {{- /* The sidecar that serves what lies in /metrics stands here: `marquee metrics`. */}}
  volumes:
    - {{ include "marquee.data.volume" $root | nindent 6 | trim }}
    - name: figures
      emptyDir: {}
    - name: tmp
      emptyDir: {}
{{- end }}
