{{/* Bundles that are made in the cluster: the words of the command, and the RayJob that runs them. */}}

{{- define "marquee.training.data" -}}
{{- if .Values.training.data }}{{ .Values.training.data }}
{{- else if .Values.ingest.enabled }}{{ include "marquee.lake" . }}
{{- else }}{{ required "training.data: the folder of the data set, for training.schedule or drift.retrain is set" .Values.training.data }}{{ end }}
{{- end }}

{{/* As JSON. Arguments: root, refresh. */}}
{{- define "marquee.training.arguments" -}}
{{- $training := .root.Values.training }}
{{- $arguments := list "--config=/config/config.json" (printf "--on-bad-row=%s" $training.onBadRow) (ternary "--gate" "--no-gate" $training.gate) "--json" }}
{{- $arguments = append $arguments (printf "--data=%s" (include "marquee.training.data" .root)) }}
{{- if .refresh }}{{ $arguments = concat $arguments (list "--from-bundle=stable" "--full-if-none" (printf "--ranker=%s" $training.ranker)) }}{{ end }}
{{- with $training.channel }}{{ $arguments = append $arguments (printf "--channel=%s" .) }}{{ end }}
{{- $arguments | toJson }}
{{- end }}

{{- define "marquee.training.name" -}}
{{ include "marquee.fullname" . }}-training
{{- end }}

{{/* Of the RayJob; KubeRay makes longer names of it. */}}
{{- define "marquee.training.rayJobName" -}}
{{ include "marquee.fullname" . | trunc 36 | trimSuffix "-" }}-training
{{- end }}

{{/* Whether anything trains: a schedule, or the watcher. */}}
{{- define "marquee.trains" -}}
{{- if or .Values.training.schedule (and .Values.drift.enabled .Values.drift.retrain) }}yes{{ end }}
{{- end }}

{{/* What a schedule and the watcher run to start it. */}}
{{- define "marquee.training.launch" -}}
{{- $wait := add (int .Values.training.deadlineSeconds) 600 }}
{{- list (printf "%s/%s" .Release.Namespace (include "marquee.training.rayJobName" .)) (printf "--template=%s/%s" .Release.Namespace (include "marquee.training.name" .)) (printf "--at-most=%d" $wait) | toJson }}
{{- end }}

{{/* What the RayJob runs. */}}
{{- define "marquee.training.script" -}}
{{- with .Values.training.prepare }}{{ . }}
{{ end -}}
exec marquee {{ ternary "retrain" "train" .Values.training.refresh }}
{{- range include "marquee.training.arguments" (dict "root" . "refresh" .Values.training.refresh) | fromJsonArray }} {{ squote . }}{{ end }}
{{- end }}

{{- define "marquee.training.rayJob" -}}
{{- $training := .Values.training }}
{{- $pod := dict "root" . "component" "ray-training" }}
apiVersion: ray.io/v1
kind: RayJob
metadata:
  labels: {{- include "marquee.labels" $pod | nindent 4 }}
spec:
  entrypoint: bash -euo pipefail /config/train.sh
  backoffLimit: {{ $training.retries }}
  activeDeadlineSeconds: {{ int $training.deadlineSeconds }}
  shutdownAfterJobFinishes: true
  ttlSecondsAfterFinished: {{ int $training.rayJob.keptSeconds }}
  submitterPodTemplate:
    metadata:
      labels: {{- include "marquee.selector" $pod | nindent 8 }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      {{- with .Values.imagePullSecrets }}
      imagePullSecrets: {{ toYaml . | nindent 8 }}
      {{- end }}
      securityContext: {{- toYaml .Values.podSecurityContext | nindent 8 }}
      containers:
        - name: ray-job-submitter
          image: {{ include "marquee.image" . }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          securityContext: {{- toYaml .Values.securityContext | nindent 12 }}
          resources:
            requests: {cpu: 50m, memory: 192Mi}
            limits: {memory: 512Mi}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
      volumes:
        - name: tmp
          emptyDir: {}
  rayClusterSpec:
    rayVersion: {{ .Values.ray.version | quote }}
    headGroupSpec:
      rayStartParams: {{- if hasKey $training.rayJob "numCpus" }} {num-cpus: {{ $training.rayJob.numCpus | quote }}}{{ else }} {}{{ end }}
      template:
        metadata:
          labels: {{- include "marquee.selector" $pod | nindent 12 }}
        spec:
          serviceAccountName: {{ include "marquee.account.ray" . }}  # for a bucket by cloud identity
          automountServiceAccountToken: false
          {{- with .Values.imagePullSecrets }}
          imagePullSecrets: {{ toYaml . | nindent 12 }}
          {{- end }}
          securityContext: {{- toYaml .Values.podSecurityContext | nindent 12 }}
          {{- with include "marquee.placement" (merge (dict "of" $training) $pod) | trim }}
          {{- . | nindent 10 }}
          {{- end }}
          containers:
            - name: ray-head
              image: {{ include "marquee.image" . }}
              imagePullPolicy: {{ .Values.image.pullPolicy }}
              securityContext: {{- toYaml .Values.securityContext | nindent 16 }}
              resources: {{- toYaml $training.resources | nindent 16 }}
              env: {{- include "marquee.environment" . | nindent 16 }}
              {{- with include "marquee.environmentFrom" . | trim }}
              envFrom: {{- . | nindent 16 }}
              {{- end }}
              volumeMounts:
                {{- include "marquee.mounts" . | nindent 16 }}
                - {name: config, mountPath: /config, readOnly: true}
          volumes:
            {{- include "marquee.volumes" . | nindent 12 }}
            - name: config
              configMap: {name: {{ include "marquee.training.name" . }}}
{{- end }}

{{/* Whether something needs rights of its own: what starts RayJobs, what takes canaries back. */}}
{{- define "marquee.live" -}}
{{- $starts := and .Values.training.rayJob.enabled (include "marquee.trains" .) }}
{{- if or $starts (and .Values.drift.enabled .Values.drift.rollback) }}yes{{ end }}
{{- end }}
