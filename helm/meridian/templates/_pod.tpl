{{/*
The pod of a role.

Keeps the rules that all pods share: restricted security, no token of the API server, no variables of
services (they begin with our prefix, and would be unknown settings), every stop within its grace.
*/}}

{{/* Takes (list root role). */}}
{{- define "meridian.pod" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $values := get $root.Values $role -}}
metadata:
  labels:
    # Not those of the chart's version, which would restart all for nothing.
    {{- include "meridian.selector" . | nindent 4 }}
    app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
    app.kubernetes.io/part-of: meridian
    # By which the service for metrics finds them, and none of development or tests.
    meridian.dev/admin: "true"
    {{- with $root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: {{ $role }}
    {{- if not $values.existingConfigMap }}
    # Settings are read at the start. Certificates and keys in use are renewed without one.
    checksum/config: {{ include "meridian.config" . | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "meridian.serviceAccountName" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.global.imagePullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  securityContext:
    {{- include "meridian.podSecurityContext" $root | nindent 4 }}
  terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
  {{- with $values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ $role }}
      image: {{ include "meridian.image" $root }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: [run, {{ $role }}, --config, /etc/meridian/meridian.toml]
      {{- with include "meridian.env" . | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      ports:
        {{- include "meridian.ports" . | nindent 8 }}
      {{- include "meridian.probes" (list $root.Values.probes $values.probes) | trim | nindent 6 }}
      {{- if $values.preStopSleepSeconds }}
      lifecycle:
        # Endpoints forget the pod meanwhile. All else of an orderly stop is done at SIGTERM, the
        # hand-over of a leader included; no shell is needed.
        preStop: {sleep: {seconds: {{ $values.preStopSleepSeconds }}}}
      {{- end }}
      resources:
        {{- toYaml $values.resources | nindent 8 }}
      securityContext:
        {{- toYaml $root.Values.containerSecurityContext | nindent 8 }}
      volumeMounts:
        - {name: meridian, mountPath: /etc/meridian, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if ne $role "frontend" }}
        - {name: data, mountPath: /var/lib/meridian}
        {{- end }}
        {{- with $values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- with include "meridian.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  volumes:
    - {{ include "meridian.files" . | nindent 6 | trim }}
    - name: tmp
      emptyDir: {sizeLimit: 64Mi}
    {{- if has $role (list "blob" "webhooks") }}
    - name: data
      emptyDir: {sizeLimit: 64Mi}
    {{- else if eq $role "replication" }}
    - name: data
      emptyDir: {sizeLimit: {{ include "meridian.spoolVolume" $values.spoolSize }}}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* The spool and a tenth, for what it keeps beside bytes. Takes a size. */}}
{{- define "meridian.spoolVolume" -}}
{{- $unit := regexFind "[A-Za-z]+$" . -}}
{{- $mebi := dict "Mi" 1 "Gi" 1024 "Ti" 1048576 -}}
{{ div (mul (regexFind "^[0-9]+" .) (get $mebi $unit) 11) 10 }}Mi
{{- end -}}

{{- define "meridian.podSecurityContext" -}}
{{- $context := deepCopy .Values.podSecurityContext -}}
{{- if include "meridian.isOpenShift" . -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{ toYaml $context }}
{{- end -}}

{{/* Something, or nothing. */}}
{{- define "meridian.isOpenShift" -}}
{{- $asked := and (eq .Values.openshift "auto") (.Capabilities.APIVersions.Has "security.openshift.io/v1") -}}
{{- if or $asked (eq .Values.openshift "enabled") }}true{{ end -}}
{{- end -}}

{{/* What the file does not say, each name once. Takes (list root role). */}}
{{- define "meridian.env" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $values := get $root.Values $role -}}
{{- $env := list -}}
{{- if $values.existingConfigMap -}}
{{- $table := include "meridian.config.chart" . | fromYaml -}}
{{- $env = include "meridian.toml.env" (dict "table" $table "path" "MERIDIAN_") | fromYamlArray -}}
{{- end -}}
{{- if eq $role "metadata" -}}
{{- $name := include "meridian.name" . -}}
{{- $endpoint := include "meridian.memberEndpoint" (list $root "ORDINAL") | replace (printf "%s-ORDINAL" $name) "$(POD_NAME)" -}}
{{- $field := dict "fieldRef" (dict "fieldPath" "metadata.name") -}}
{{- $env = append $env (dict "name" "POD_NAME" "valueFrom" $field) -}}
{{- $env = append $env (dict "name" "MERIDIAN_METADATA__GROUP__ADVERTISE" "value" $endpoint) -}}
{{- end -}}
{{- if and (eq $role "blob") $root.Values.s3.accessKeyIdKey (not $root.Values.devDependencies.enabled) -}}
{{- range $name, $key := dict "ACCESS_KEY_ID" $root.Values.s3.accessKeyIdKey "SECRET_ACCESS_KEY" $root.Values.s3.secretAccessKeyKey -}}
{{- $from := dict "secretKeyRef" (dict "name" $root.Values.s3.existingSecret "key" $key) -}}
{{- $env = append $env (dict "name" (printf "MERIDIAN_BLOBS__S3__%s" $name) "valueFrom" $from) -}}
{{- end -}}
{{- end -}}
{{- $own := list -}}
{{- range $values.extraEnv }}{{ $own = append $own .name }}{{ end -}}
{{- range $env }}
{{- if not (has .name $own) }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes (list root role). */}}
{{- define "meridian.ports" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
- {name: admin, containerPort: 7400}
{{- if eq $role "frontend" }}
- {name: http, containerPort: 5000}
{{- else if eq $role "blob" }}
- {name: grpc, containerPort: 7402}
{{- if $root.Values.dataURL }}
- {name: data, containerPort: 5443}
{{- end }}
{{- else if eq $role "metadata" }}
- {name: grpc, containerPort: 7401}
{{- if $root.Values.management.enabled }}
- {name: management, containerPort: 7403}
{{- end }}
{{- else if eq $role "replication" }}
- {name: grpc, containerPort: 7404}
- {name: peers, containerPort: 7405}
{{- end }}
{{- end -}}

{{/* Takes (list common own): a probe of its own is taken as it is. */}}
{{- define "meridian.probes" -}}
{{- $common := index . 0 -}}
{{- $own := index . 1 | default dict -}}
{{- range $kind := list "startup" "readiness" "liveness" }}
{{- $probe := ternary (get $own $kind) (get $common $kind) (hasKey $own $kind) }}
{{- with $probe }}
{{ $kind }}Probe:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* On which nodes. Takes (list root role). */}}
{{- define "meridian.placement" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $values := get $root.Values $role -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := deepCopy $values.affinity }}
{{- if eq $role "metadata" }}
{{- $affinity = mergeOverwrite (include "meridian.antiAffinity" . | fromYaml) $affinity }}
{{- end }}
{{- with $affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- else }}
{{- $spread := include "meridian.spread" . | trim }}
{{- with $spread }}
topologySpreadConstraints:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.antiAffinity" -}}
{{- $kind := (index . 0).Values.metadata.antiAffinity -}}
{{- if eq $kind "required" }}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          {{- include "meridian.selector" . | nindent 10 }}
{{- else if eq $kind "preferred" }}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "meridian.selector" . | nindent 12 }}
{{- end }}
{{- end -}}

{{- define "meridian.spread" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $zones := $root.Values.metadata.zoneSpread -}}
{{- if eq $role "metadata" }}
{{- if ne $zones "none" }}
- topologyKey: {{ $root.Values.global.zoneLabel }}
  maxSkew: 1
  whenUnsatisfiable: {{ $zones }}
  labelSelector:
    matchLabels:
      {{- include "meridian.selector" . | nindent 6 }}
{{- end }}
{{- else }}
{{- range list $root.Values.global.zoneLabel "kubernetes.io/hostname" }}
- topologyKey: {{ . }}
  maxSkew: 1
  whenUnsatisfiable: ScheduleAnyway
  # Pods of an older version do not count.
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "meridian.selector" (list $root $role) | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}
