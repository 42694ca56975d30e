{{/*
What each role is told: its file of settings.

Owns which values become which settings. Three tiers: what the chart says (`meridian.config.<role>`),
what the values say (`config`, `<role>.config`), which wins, or a ConfigMap of yours in place of both.
With the latter what the chart says is given by the environment, so that addresses, region and the
places of secrets come from the values all the same.

A role's file names what it needs and nothing else, because a process reads every secret that its file
names. All files lie below /etc/meridian; `_files.tpl` puts them there.
*/}}

{{/* The settings of a role as a map, in YAML. Takes (list root role). */}}
{{- define "meridian.config" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $chart := include "meridian.config.chart" . | fromYaml -}}
{{- $own := deepCopy (get $root.Values $role).config -}}
{{ mergeOverwrite $chart (deepCopy $root.Values.config) $own | toYaml }}
{{- end -}}

{{/* What the chart says. Takes (list root role). */}}
{{- define "meridian.config.chart" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $all := include "meridian.config.all" . | fromYaml -}}
{{ mergeOverwrite $all (include (printf "meridian.config.%s" $role) $root | fromYaml) | toYaml }}
{{- end -}}

{{- define "meridian.config.all" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
region: {{ $root.Values.region }}
{{- if ne (index . 1) "frontend" }}
data_dir: /var/lib/meridian
{{- end }}
grace: {{ include "meridian.grace" . }}s
log: {format: json}
admin: {listen: ["0.0.0.0:7400"]}
{{- if $root.Values.identity.enabled }}
identity:
  cert_file: /etc/meridian/identity/tls.crt
  key_file: /etc/meridian/identity/tls.key
  ca_file: /etc/meridian/identity/ca.crt
  reload_every: {{ $root.Values.identity.reloadEvery }}
{{- end }}
{{- with $root.Values.telemetry }}
{{- if .otlpEndpoint }}
telemetry:
  otlp_endpoint: {{ .otlpEndpoint }}
  sample: {{ .sample }}
  metrics: {{ .metrics }}
  {{- if .existingCaSecret }}
  otlp_ca_file: /etc/meridian/telemetry/ca.crt
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Seconds for an orderly stop: what Kubernetes grants, less the sleep before, less a margin. */}}
{{- define "meridian.grace" -}}
{{- $values := get (index . 0).Values (index . 1) -}}
{{ sub (sub $values.terminationGracePeriodSeconds $values.preStopSleepSeconds) 5 }}
{{- end -}}

{{- define "meridian.config.frontend" -}}
frontend:
  listen: ["0.0.0.0:5000"]
  {{- include "meridian.config.clientTLS" . | nindent 2 }}
  {{- with .Values.frontend.trustedProxies }}
  http: {trusted_proxies: {{ toJson . }}}
  {{- end }}
  blobs:
    delivery: {{ .Values.frontend.blobDelivery }}
    {{- with .Values.dataURL }}
    data_url: {{ . }}
    {{- end }}
{{- if .Values.dataURL }}
blob: {data: {key_file: /etc/meridian/blob/link.key}}
{{- end }}
{{- include "meridian.config.cache" . }}
services:
  {{- include "meridian.config.metadataEndpoints" . | nindent 2 }}
  {{- include "meridian.config.blobEndpoints" . | nindent 2 }}
  {{- if include "meridian.peers" . | fromJsonArray }}
  replication: {{ include "meridian.endpoint" (list . "replication" 7404) }}
  {{- end }}
{{- include "meridian.config.regions" (list . false) }}
{{- end -}}

{{- define "meridian.config.blob" -}}
blob:
  listen: ["0.0.0.0:7402"]
  {{- include "meridian.config.plain" . | nindent 2 }}
  {{- if .Values.blob.existingUploadKeySecret }}
  uploads: {key_file: /etc/meridian/blob/upload.key}
  {{- end }}
  {{- if .Values.dataURL }}
  data:
    listen: ["0.0.0.0:5443"]
    key_file: /etc/meridian/blob/link.key
    {{- include "meridian.config.clientTLS" . | nindent 4 }}
  {{- end }}
blobs:
  store: s3
  s3:
    bucket: {{ include "meridian.s3.bucket" . }}
    region: {{ .Values.s3.region }}
    {{- with include "meridian.s3.endpoint" . }}
    endpoint: {{ . }}
    {{- end }}
    {{- with .Values.s3.publicEndpoint }}
    public_endpoint: {{ . }}
    {{- end }}
    path_style: {{ or .Values.s3.pathStyle .Values.devDependencies.enabled }}
    {{- with .Values.s3.prefix }}
    prefix: {{ . }}
    {{- end }}
    {{- if .Values.devDependencies.enabled }}
    access_key_id: development
    secret_access_key: development
    {{- else if not .Values.s3.accessKeyIdKey }}
    credentials_file: /etc/meridian/s3/credentials
    {{- end }}
    {{- if .Values.s3.existingCaSecret }}
    ca_file: /etc/meridian/s3/ca.crt
    {{- end }}
{{- include "meridian.config.cache" . }}
services:
  {{- include "meridian.config.metadataEndpoints" . | nindent 2 }}
{{- end -}}

{{- define "meridian.config.metadata" -}}
metadata:
  listen: ["0.0.0.0:7401"]
  {{- include "meridian.config.plain" . | nindent 2 }}
  group:
    # Where each member is reached, the environment of its pod says.
    founders:
      {{- range until (int .Values.metadata.replicas) }}
      - {{ include "meridian.memberEndpoint" (list $ .) }}
      {{- end }}
{{- include "meridian.config.events" . }}
{{- include "meridian.config.regions" (list . false) }}
{{- with .Values.management }}
{{- if .enabled }}
management:
  listen: ["0.0.0.0:7403"]
  token_file: /etc/meridian/management/tokens
  tls: {cert_file: /etc/meridian/management/tls.crt, key_file: /etc/meridian/management/tls.key}
  check:
    frontend: {{ .check.frontendURL | default $.Values.externalURL }}
    {{- if .check.existingCaSecret }}
    ca_file: /etc/meridian/management/frontend-ca.crt
    {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.config.replication" -}}
replication:
  listen: ["0.0.0.0:7404"]
  peer_listen: ["0.0.0.0:7405"]
  {{- include "meridian.config.plain" . | nindent 2 }}
  # The volume is a little larger.
  spool_bytes: {{ .Values.replication.spoolSize | replace "Ki" " KiB" | replace "Mi" " MiB" | replace "Gi" " GiB" | replace "Ti" " TiB" }}
  peers:
    {{- range include "meridian.peers" . | fromJsonArray }}
    {{- if .budget }}
    {{ .name }}: {budget: {{ .budget }}}
    {{- end }}
    {{- end }}
services:
  {{- include "meridian.config.metadataEndpoints" . | nindent 2 }}
  {{- include "meridian.config.blobEndpoints" . | nindent 2 }}
{{- include "meridian.config.regions" (list . true) }}
{{- end -}}

{{- define "meridian.config.webhooks" -}}
webhooks:
  key_file: /etc/meridian/webhooks/keys
  host: {{ (urlParse .Values.externalURL).host }}
  {{- if .Values.webhooks.existingCaSecret }}
  ca_file: /etc/meridian/webhooks/ca.crt
  {{- end }}
  {{- with .Values.webhooks.egress.allowedCIDRs }}
  egress: {allowed: {{ toJson . }}}
  {{- end }}
{{- include "meridian.config.events" . }}
services:
  {{- include "meridian.config.metadataEndpoints" . | nindent 2 }}
{{- end -}}

{{/* === Parts that several roles have */}}

{{- define "meridian.config.clientTLS" -}}
{{- if .Values.tls.enabled -}}
tls: {cert_file: /etc/meridian/tls/tls.crt, key_file: /etc/meridian/tls/tls.key}
{{- else -}}
allow_plain_http: true
{{- end -}}
{{- end -}}

{{- define "meridian.config.plain" -}}
{{- if not .Values.identity.enabled -}}
allow_plain_grpc: true
{{- end -}}
{{- end -}}

{{- define "meridian.config.cache" -}}
{{- $address := include "meridian.redis.address" . }}
{{- if $address }}
cache:
  kind: redis
  redis:
    address: {{ $address | quote }}
    {{- with .Values.redis }}
    {{- if .user }}
    user: {{ .user }}
    {{- end }}
    {{- if .existingSecret }}
    password_file: /etc/meridian/redis/password
    {{- end }}
    database: {{ .database }}
    prefix: {{ .prefix | default (printf "%s-%s:" (include "meridian.fullname" $) $.Values.region) | quote }}
    {{- if .tls.enabled }}
    tls: {{ include "meridian.config.outboundTLS" (list .tls "/etc/meridian/redis") }}
    {{- end }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* The event log of this region. */}}
{{- define "meridian.config.events" }}
events:
  {{- $kafka := .Values.kafka }}
  {{- if .Values.devDependencies.enabled }}
  {{- $broker := printf "%s-dev-kafka.%s.svc:9092" (include "meridian.fullname" .) .Release.Namespace }}
  {{- $kafka = mergeOverwrite (deepCopy $kafka) (dict "brokers" (list $broker) "singleBroker" true) }}
  {{- end }}
  {{- include "meridian.config.kafka" (list $kafka "/etc/meridian/kafka") | nindent 2 }}
{{- end -}}

{{/* Takes (list kafka folder). */}}
{{- define "meridian.config.kafka" -}}
{{- $folder := index . 1 -}}
{{- with index . 0 -}}
kind: kafka
kafka:
  brokers: {{ toJson .brokers }}
  {{- if .singleBroker }}
  single_broker: true
  {{- end }}
  {{- if (.tls | default dict).enabled }}
  tls: {{ include "meridian.config.outboundTLS" (list .tls $folder) }}
  {{- end }}
  {{- with .sasl }}
  {{- if .user }}
  sasl:
    mechanism: {{ .mechanism | default "SCRAM-SHA-512" }}
    user: {{ .user }}
    password_file: {{ $folder }}/password
  {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* How a connection to a store is encrypted, as JSON: without a word, by the authorities of the image.
Takes (list tls folder). */}}
{{- define "meridian.config.outboundTLS" -}}
{{- $folder := index . 1 -}}
{{- $files := dict -}}
{{- with index . 0 -}}
{{- if .existingCaSecret }}{{ $files = set $files "ca_file" (printf "%s/ca.crt" $folder) }}{{ end -}}
{{- if .existingTlsSecret }}
{{- $files = set $files "certificate_file" (printf "%s/tls.crt" $folder) }}
{{- $files = set $files "key_file" (printf "%s/tls.key" $folder) }}
{{- end -}}
{{- end -}}
{{ toJson $files }}
{{- end -}}

{{/* The other regions; with their event logs for those who read these. Takes (list root withEvents). */}}
{{- define "meridian.config.regions" }}
{{- $withEvents := index . 1 }}
{{- with include "meridian.peers" (index . 0) | fromJsonArray }}
regions:
  {{- range . }}
  {{ .name }}:
    endpoints: {{ toJson .endpoints }}
    {{- if and $withEvents .kafka }}
    events:
      {{- include "meridian.config.kafka" (list .kafka (printf "/etc/meridian/regions/%s" .name)) | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* === Where services are found */}}

{{/* Takes (list root role port). */}}
{{- define "meridian.endpoint" -}}
{{- $root := index . 0 -}}
{{ ternary "https" "http" $root.Values.identity.enabled }}://{{ include "meridian.name" . }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.global.clusterDomain }}:{{ index . 2 }}
{{- end -}}

{{/* Each member by a service of its own: clients call them in turn and pass over one that is away, and
none is reached before it is ready. */}}
{{- define "meridian.config.metadataEndpoints" -}}
metadata:
  {{- range until (int .Values.metadata.replicas) }}
  - {{ include "meridian.endpoint" (list $ (printf "metadata-%d" .) 7401) }}
  {{- end }}
{{- end -}}

{{/* One name, called by several connections: kube-proxy chooses a pod for each. */}}
{{- define "meridian.config.blobEndpoints" -}}
blob:
  {{- range until (int .Values.blob.connectionsPerClient) }}
  - {{ include "meridian.endpoint" (list $ "blob" 7402) }}
  {{- end }}
{{- end -}}

{{/* Where a member is to the others: by its name, which it keeps, never by its address. Takes (list root ordinal). */}}
{{- define "meridian.memberEndpoint" -}}
{{- $root := index . 0 -}}
{{- $name := include "meridian.name" (list $root "metadata") -}}
{{ ternary "https" "http" $root.Values.identity.enabled }}://{{ $name }}-{{ index . 1 }}.{{ $name }}-peers.{{ $root.Release.Namespace }}.svc.{{ $root.Values.global.clusterDomain }}:7401
{{- end -}}

{{- define "meridian.s3.bucket" -}}
{{ ternary "meridian" .Values.s3.bucket .Values.devDependencies.enabled }}
{{- end -}}

{{- define "meridian.s3.endpoint" -}}
{{- if .Values.devDependencies.enabled -}}
http://{{ include "meridian.fullname" . }}-dev-s3.{{ .Release.Namespace }}.svc:9000
{{- else -}}
{{ .Values.s3.endpoint }}
{{- end -}}
{{- end -}}

{{- define "meridian.redis.address" -}}
{{- if .Values.devDependencies.enabled -}}
{{ include "meridian.fullname" . }}-dev-redis.{{ .Release.Namespace }}.svc:6379
{{- else -}}
{{ .Values.redis.address }}
{{- end -}}
{{- end -}}
