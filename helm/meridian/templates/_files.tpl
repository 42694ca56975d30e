{{/*
What lies below /etc/meridian in a pod: settings, certificates and secrets, in one projected volume.

Owns which Secret becomes which file, and keeps two rules: a role gets the files that its settings name
and no others; and every file can be replaced while the pod runs, because nothing is mounted by subPath.
Files are root's and readable to the group of the pod (fsGroup), as Meridian asks of secrets.
*/}}

{{/* The volume. Takes (list root role). */}}
{{- define "meridian.files" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $values := get $root.Values $role -}}
name: meridian
projected:
  # Nobody else may read what is secret.
  defaultMode: 0440
  sources:
    - configMap:
        name: {{ $values.existingConfigMap | default (include "meridian.name" .) }}
        items: [{key: {{ $values.configMapKey }}, path: meridian.toml}]
    {{- $telemetry := $root.Values.telemetry }}
    {{- $sources := list (include "meridian.files.identity" .) (include (printf "meridian.files.%s" $role) $root) }}
    {{- $sources = append $sources (include "meridian.file" (list $telemetry.existingCaSecret $telemetry.caKey "telemetry/ca.crt")) }}
    {{- regexReplaceAll "\\n\\s*\\n" (join "\n" $sources) "\n" | trim | nindent 4 }}
{{- end -}}

{{/* A key of a Secret as a file, if there is such a Secret. Takes (list secret key path). */}}
{{- define "meridian.file" -}}
{{- if index . 0 -}}
- secret:
    name: {{ index . 0 }}
    items: [{key: {{ index . 1 | quote }}, path: {{ index . 2 }}}]
{{- end -}}
{{- end -}}

{{/* Certificate and key. Takes (list secret certKey keyKey folder). */}}
{{- define "meridian.pair" -}}
{{- if index . 0 -}}
- secret:
    name: {{ index . 0 }}
    items:
      - {key: {{ index . 1 | quote }}, path: {{ index . 3 }}/tls.crt}
      - {key: {{ index . 2 | quote }}, path: {{ index . 3 }}/tls.key}
{{- end -}}
{{- end -}}

{{- define "meridian.files.frontend" -}}
{{ include "meridian.files.tls" . }}
{{ include "meridian.files.link" . }}
{{ include "meridian.files.redis" . }}
{{- end -}}

{{- define "meridian.files.blob" -}}
{{- with .Values.s3 -}}
{{- if not .accessKeyIdKey }}
{{ include "meridian.file" (list .existingSecret .credentialsKey "s3/credentials") }}
{{- end }}
{{ include "meridian.file" (list .existingCaSecret .caKey "s3/ca.crt") }}
{{- end }}
{{ include "meridian.file" (list .Values.blob.existingUploadKeySecret .Values.blob.uploadKeyKey "blob/upload.key") }}
{{ include "meridian.files.link" . }}
{{ include "meridian.files.redis" . }}
{{- if .Values.dataURL }}
{{ include "meridian.files.tls" . }}
{{- end }}
{{- end -}}

{{- define "meridian.files.metadata" -}}
{{ include "meridian.files.kafka" (list .Values.kafka "kafka") }}
{{- with .Values.management }}
{{- if .enabled }}
{{ include "meridian.file" (list .existingTokenSecret .tokenKey "management/tokens") }}
{{ include "meridian.pair" (list (include "meridian.managementSecret" $) .certKey .keyKey "management") }}
{{ include "meridian.file" (list .check.existingCaSecret .check.caKey "management/frontend-ca.crt") }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.files.replication" -}}
{{- range include "meridian.peers" . | fromJsonArray }}
{{- if .kafka }}
{{ include "meridian.files.kafka" (list .kafka (printf "regions/%s" .name)) }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.files.webhooks" -}}
{{- with .Values.webhooks -}}
{{ include "meridian.file" (list .existingKeySecret .keyKey "webhooks/keys") }}
{{ include "meridian.file" (list .existingCaSecret .caKey "webhooks/ca.crt") }}
{{- end }}
{{ include "meridian.files.kafka" (list .Values.kafka "kafka") }}
{{- end -}}

{{/* === Parts that several roles have */}}

{{/* Who the role is, and whom it trusts. Takes (list root role). */}}
{{- define "meridian.files.identity" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.identity -}}
{{- if .enabled -}}
{{- $secret := include "meridian.identitySecret" $ -}}
{{ include "meridian.pair" (list $secret .certKey .keyKey "identity") }}
{{- if .existingCaConfigMap }}
- configMap:
    name: {{ .existingCaConfigMap }}
    items: [{key: {{ .caKey | quote }}, path: identity/ca.crt}]
{{- else if .ca }}
- configMap:
    name: {{ include "meridian.name" (list $root "authorities") }}
    items: [{key: ca.crt, path: identity/ca.crt}]
{{- else }}
{{ include "meridian.file" (list (.existingCaSecret | default $secret) .caKey "identity/ca.crt") }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes (list root role). */}}
{{- define "meridian.identitySecret" -}}
{{- $identity := (index . 0).Values.identity -}}
{{ ternary (printf "%s-identity" (include "meridian.name" .)) (get $identity.existingSecrets (index . 1)) $identity.certManager.enabled }}
{{- end -}}

{{- define "meridian.tlsSecret" -}}
{{ ternary (printf "%s-tls" (include "meridian.fullname" .)) .Values.tls.existingTlsSecret .Values.tls.certManager.enabled }}
{{- end -}}

{{- define "meridian.managementSecret" -}}
{{- $management := .Values.management -}}
{{ ternary (printf "%s-management-tls" (include "meridian.fullname" .)) $management.existingTlsSecret $management.certManager.enabled }}
{{- end -}}

{{- define "meridian.files.tls" -}}
{{- with .Values.tls -}}
{{- if .enabled -}}
{{ include "meridian.pair" (list (include "meridian.tlsSecret" $) .certKey .keyKey "tls") }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.files.link" -}}
{{- if .Values.dataURL -}}
{{ include "meridian.file" (list .Values.blob.existingLinkKeySecret .Values.blob.linkKeyKey "blob/link.key") }}
{{- end }}
{{- end -}}

{{- define "meridian.files.redis" -}}
{{- with .Values.redis -}}
{{ include "meridian.file" (list .existingSecret .passwordKey "redis/password") }}
{{- if .tls.enabled }}
{{ include "meridian.file" (list .tls.existingCaSecret .tls.caKey "redis/ca.crt") }}
{{ include "meridian.pair" (list .tls.existingTlsSecret .tls.certKey .tls.keyKey "redis") }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Takes (list kafka folder). */}}
{{- define "meridian.files.kafka" -}}
{{- $folder := index . 1 -}}
{{- with index . 0 -}}
{{- with .sasl }}
{{- if .user }}
{{ include "meridian.file" (list .existingSecret (.passwordKey | default "password") (printf "%s/password" $folder)) }}
{{- end }}
{{- end }}
{{- with .tls }}
{{- if .enabled }}
{{ include "meridian.file" (list .existingCaSecret (.caKey | default "ca.crt") (printf "%s/ca.crt" $folder)) }}
{{ include "meridian.pair" (list .existingTlsSecret (.certKey | default "tls.crt") (.keyKey | default "tls.key") $folder) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
