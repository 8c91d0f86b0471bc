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
  {{- with include "marquee.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- if eq .component "worker" }}
  terminationGracePeriodSeconds: 75
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
        {{- if eq $name "RAY_SERVE_HAPROXY_BALANCE_ALGORITHM" }}
        {{- /* Behind the algorithm stands more of HAProxy's configuration. */}}
        {{- $value = printf "%s%s" $root.Values.proxy.balance (trimPrefix "first" $value) }}
        {{- end }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
        - {name: RAY_SERVE_HAPROXY_MAXCONN, value: {{ $root.Values.proxy.maxConnections | quote }}}
        - {name: RAY_SERVE_HAPROXY_NBTHREAD, value: {{ $root.Values.proxy.threads | quote }}}
        {{- /* After the loss of the head, Serve's controller stops replicas that it has not reached again by then. */}}
        - {name: RAY_SERVE_SLOW_STARTUP_WARNING_S, value: "300"}
        {{- with .of.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with include "marquee.environmentFrom" $root | trim }}
      envFrom: {{- . | nindent 8 }}
      {{- end }}
      ports:
        {{- if eq .component "head" }}
        - {name: gcs-server, containerPort: 6379}
        - {name: dashboard, containerPort: 8265}
        - {name: client, containerPort: 10001}
        - {name: as-metrics, containerPort: 44217}
        - {name: dash-metrics, containerPort: 44227}
        {{- end }}
        - {name: metrics, containerPort: 8080}
        - {name: serve, containerPort: 8000}
      {{- if eq .component "worker" }}
      readinessProbe:
        {{- /* KubeRay's own starts programs in the pod at each look and takes it out of the Service after one look that
        took 2 s. Pods that start on a busy node can make all of them that slow at once, and the Service leads nowhere. */}}
        httpGet: {path: /-/healthz, port: serve}
        initialDelaySeconds: 10
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 3
      lifecycle:
        preStop:
          exec:
            # Ray moves replicas and HAProxy's clients elsewhere before the pod goes; bash passes no signal on.
            command:
              - bash
              - -c
              - timeout 15 ray drain-node --address "$RAY_ADDRESS" --reason DRAIN_NODE_REASON_PREEMPTION
                --reason-message "the pod goes" --deadline-remaining-seconds 45; sleep 40; ray stop --force
      {{- end }}
      volumeMounts:
        {{- include "marquee.mounts" $root | nindent 8 }}
        - {name: figures, mountPath: /metrics}
  {{- if eq .component "worker" }}
  initContainers:
    {{- /* With restartPolicy it runs as long as the pod, and its end alone takes no pod out of service. */}}
    - name: metrics
      restartPolicy: Always
      image: {{ include "marquee.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: [marquee, metrics]
      args: [--folder=/metrics, --port={{ $root.Values.metrics.port }}]
      securityContext: {{- toYaml $root.Values.securityContext | nindent 8 }}
      resources: {{- toYaml $root.Values.metrics.resources | nindent 8 }}
      ports:
        - {name: figures, containerPort: {{ $root.Values.metrics.port }}}
      startupProbe:
        httpGet: {path: /healthz, port: figures}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: figures}
        periodSeconds: 20
        timeoutSeconds: 5
      volumeMounts:
        - {name: figures, mountPath: /metrics}
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  volumes:
    {{- include "marquee.volumes" $root | nindent 4 }}
    - name: figures
      emptyDir: {}
{{- end }}
