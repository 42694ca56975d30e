{{/* Names and labels. Selectors are for ever: never change what `meridian.selector` prints. */}}

{{- define "meridian.fullname" -}}
{{ .Values.fullnameOverride | default .Release.Name }}
{{- end -}}

{{/* Name of a role's objects. Takes (list root role). */}}
{{- define "meridian.name" -}}
{{ include "meridian.fullname" (index . 0) }}-{{ index . 1 }}
{{- end -}}

{{/* By what a role's pods are selected. Takes (list root role). */}}
{{- define "meridian.selector" -}}
app.kubernetes.io/name: meridian
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Takes (list root component). */}}
{{- define "meridian.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{ include "meridian.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: meridian
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Annotations of all objects, and those that are given. Takes (list root annotations). */}}
{{- define "meridian.annotations" -}}
{{- $all := merge (dict) (index . 1 | default dict) (index . 0).Values.commonAnnotations -}}
{{- with $all }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Metadata of an object. Takes (list root component name annotations). */}}
{{- define "meridian.metadata" -}}
name: {{ index . 2 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "meridian.labels" (list (index . 0) (index . 1)) | nindent 2 }}
{{- include "meridian.annotations" (list (index . 0) (index . 3)) }}
{{- end -}}

{{/* The roles of this release, as JSON. */}}
{{- define "meridian.roles" -}}
{{- $roles := list "metadata" "blob" "frontend" -}}
{{- if include "meridian.peers" . | fromJsonArray }}{{ $roles = append $roles "replication" }}{{ end -}}
{{- if .Values.webhooks.enabled }}{{ $roles = append $roles "webhooks" }}{{ end -}}
{{ toJson $roles }}
{{- end -}}

{{/* The other regions, as JSON: all of topology.regions but this one. */}}
{{- define "meridian.peers" -}}
{{- $peers := list -}}
{{- range .Values.topology.regions }}
{{- if ne .name $.Values.region }}{{ $peers = append $peers . }}{{ end }}
{{- end -}}
{{ toJson $peers }}
{{- end -}}

{{- define "meridian.serviceAccountName" -}}
{{- $account := (get (index . 0).Values (index . 1)).serviceAccount -}}
{{ $account.name | default (ternary (include "meridian.name" .) "default" $account.create) }}
{{- end -}}

{{/* Takes a URL. */}}
{{- define "meridian.host" -}}
{{ (urlParse .).hostname }}
{{- end -}}

{{/* Takes a URL. */}}
{{- define "meridian.port" -}}
{{- $url := urlParse . -}}
{{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end -}}

{{- define "meridian.image" -}}
{{- $image := .Values.image -}}
{{- $registry := .Values.global.imageRegistry | default $image.registry -}}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (ne $registry "") -}}
{{- if $image.digest -}}
{{ $name }}@{{ $image.digest }}
{{- else -}}
{{ $name }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* An image of another project, from global.imageRegistry if that is set. Takes (list root image). */}}
{{- define "meridian.foreignImage" -}}
{{- $registry := (index . 0).Values.global.imageRegistry -}}
{{- if $registry -}}
{{ $registry }}/{{ regexReplaceAll "^[^/]*[.:][^/]*/" (index . 1) "" }}
{{- else -}}
{{ index . 1 }}
{{- end -}}
{{- end -}}
