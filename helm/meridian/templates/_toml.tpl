{{/*
Settings as Meridian reads them: a file in TOML, and variables of the environment.

`toToml` of Helm writes whole numbers as fractions, which are no numbers of replicas. Keys are in
order, because `range` takes maps so: two renders are equal. A key that is null is left out.
*/}}

{{/* A table and those in it. Takes (dict "table" map "path" text). */}}
{{- define "meridian.toml" -}}
{{- range $key, $value := .table }}
{{- if not (or (kindIs "map" $value) (kindIs "invalid" $value)) }}
{{ include "meridian.toml.key" $key }} = {{ include "meridian.toml.value" $value }}
{{- end }}
{{- end }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- $path := printf "%s%s" $.path (include "meridian.toml.key" $key) }}
{{- if include "meridian.toml.needsHeader" $value }}

[{{ $path }}]
{{- end }}
{{- include "meridian.toml" (dict "table" $value "path" (printf "%s." $path)) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Something, unless the table has nothing but tables, which have headers of their own. */}}
{{- define "meridian.toml.needsHeader" -}}
{{- $plain := not . -}}
{{- range . }}{{ if not (kindIs "map" .) }}{{ $plain = true }}{{ end }}{{ end -}}
{{- if $plain }}true{{ end -}}
{{- end -}}

{{- define "meridian.toml.key" -}}
{{- if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toRawJson . }}{{ end -}}
{{- end -}}

{{- define "meridian.toml.value" -}}
{{- if kindIs "string" . -}}
{{ toRawJson . }}
{{- else if kindIs "bool" . -}}
{{ . }}
{{- else if kindIs "slice" . -}}
[{{ range $place, $item := . }}{{ if $place }}, {{ end }}{{ include "meridian.toml.value" $item }}{{ end }}]
{{- else if kindIs "map" . -}}
{ {{- $first := true }}
{{- range $key, $item := . }}
{{- if not $first }},{{ end }} {{ include "meridian.toml.key" $key }} = {{ include "meridian.toml.value" $item }}
{{- $first = false }}
{{- end }} }
{{- else if eq (float64 (int64 .)) (float64 .) -}}
{{ int64 . }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{/* The same as variables, `MERIDIAN_A__B`. Takes (dict "table" map "path" text). */}}
{{- define "meridian.toml.env" -}}
{{- range $key, $value := .table }}
{{- $name := printf "%s%s" $.path (upper $key) }}
{{- if kindIs "map" $value }}
{{- include "meridian.toml.env" (dict "table" $value "path" (printf "%s__" $name)) }}
{{- else if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ ternary $value (include "meridian.toml.value" $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
{{- end -}}
