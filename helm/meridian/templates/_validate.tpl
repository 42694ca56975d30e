{{/*
What cannot be: each with a sentence that says what to change. The schema refuses keys and types; this
refuses values that do not fit together, and tells all of them at once. Nothing that would only show as
a pod that does not start is let through here.
*/}}

{{- define "meridian.validate" -}}
{{- $faults := list -}}
{{- range list "installation" "identity" "tls" "stores" "topology" "roles" "exposure" }}
{{- $faults = concat $faults (include (printf "meridian.validate.%s" .) $ | trim | splitList "\n") -}}
{{- end -}}
{{- $told := list -}}
{{- range $faults }}{{ with trim . }}{{ $told = append $told (printf "  - %s" .) }}{{ end }}{{ end -}}
{{- if $told }}
{{- fail (printf "these values cannot be installed:\n%s" (join "\n" $told)) }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.installation" -}}
{{- $isProduction := eq .Values.environment "production" -}}
{{- if not .Values.region }}
region is missing: name this region, such as `eu`.
{{- end }}
{{- if not .Values.externalURL }}
externalURL is missing: say where clients find the registry, such as `https://registry.example.com`.
{{- end }}
{{- if not .Values.image.repository }}
image.repository is missing: name where you pushed Meridian's image.
{{- end }}
{{- if gt (len (include "meridian.fullname" .)) 40 }}
The name {{ include "meridian.fullname" . }} is too long, because names of services have 63 characters: choose a release name or fullnameOverride of at most 40.
{{- end }}
{{- if and $isProduction .Values.devDependencies.enabled }}
devDependencies.enabled is for development: set environment to `development`, or name a Kafka, Redis and S3 of yours.
{{- end }}
{{- if and $isProduction (hasPrefix "http://" .Values.externalURL) }}
externalURL is plain HTTP, which docker and containerd refuse and production does too: use https.
{{- end }}
{{- if and .Values.management.enabled (not .Values.management.existingTokenSecret) }}
management.existingTokenSecret is missing: whoever reaches the management API could change everything.
{{- end }}
{{- if .Values.management.enabled }}
{{- $hasCertificate := or .Values.management.existingTlsSecret .Values.management.certManager.enabled }}
{{- if not $hasCertificate }}
management has no certificate, and no token is sent in the clear: set management.existingTlsSecret or management.certManager.enabled.
{{- end }}
{{- if and .Values.management.existingTlsSecret .Values.management.certManager.enabled }}
management.existingTlsSecret and management.certManager.enabled exclude each other: keep one.
{{- end }}
{{- if and .Values.management.certManager.enabled (not .Values.identity.certManager.issuerRef.name) }}
management.certManager uses the issuer of identity.certManager.issuerRef.name, which is missing.
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.identity" -}}
{{- $identity := .Values.identity -}}
{{- $hasPeers := include "meridian.peers" . | fromJsonArray -}}
{{- if not $identity.enabled }}
{{- if eq .Values.environment "production" }}
identity.enabled is false: without it services do not know each other and gRPC is plain, which production refuses.
{{- end }}
{{- if $hasPeers }}
identity.enabled is false, and topology.regions names others: regions know each other by certificates only.
{{- end }}
{{- else }}
{{- if not $identity.trustDomain }}
identity.trustDomain is missing: the names of services begin with it, in all regions with the same.
{{- end }}
{{- $given := list }}
{{- $missing := list }}
{{- range include "meridian.roles" . | fromJsonArray }}
{{- if get $identity.existingSecrets . }}{{ $given = append $given . }}{{ else }}{{ $missing = append $missing . }}{{ end }}
{{- end }}
{{- if and $identity.certManager.enabled $given }}
identity.certManager.enabled and identity.existingSecrets.{{ first $given }} exclude each other: keep one.
{{- end }}
{{- if and $identity.certManager.enabled (not $identity.certManager.issuerRef.name) }}
identity.certManager.issuerRef.name is missing: name an issuer that certifies names of services.
{{- end }}
{{- if and (not $identity.certManager.enabled) $missing }}
identity has no certificate for {{ join ", " $missing }}: set identity.certManager.enabled, or identity.existingSecrets for each role.
{{- end }}
{{- $sources := compact (list $identity.ca $identity.existingCaSecret $identity.existingCaConfigMap) }}
{{- if gt (len $sources) 1 }}
identity.ca, identity.existingCaSecret and identity.existingCaConfigMap exclude each other: keep one.
{{- end }}
{{- if and $hasPeers (not $sources) }}
identity trusts this region only, and topology.regions names others: set identity.ca and each topology.regions[].ca, or name authorities of all in identity.existingCaSecret or identity.existingCaConfigMap.
{{- end }}
{{- if $identity.ca }}
{{- range $hasPeers }}
{{- if not .ca }}
topology.regions: `{{ .name }}` has no ca, so that nobody there is trusted: add it beside identity.ca.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.tls" -}}
{{- $tls := .Values.tls -}}
{{- if $tls.enabled }}
{{- if and $tls.existingTlsSecret $tls.certManager.enabled }}
tls.existingTlsSecret and tls.certManager.enabled exclude each other: keep one.
{{- end }}
{{- if not (or $tls.existingTlsSecret $tls.certManager.enabled) }}
tls has no certificate: set tls.existingTlsSecret or tls.certManager.enabled, or tls.enabled to false where something in front of the pods ends TLS.
{{- end }}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) }}
tls.certManager.issuerRef.name is missing: name an issuer for the names of the URLs.
{{- end }}
{{- if hasPrefix "http://" .Values.externalURL }}
externalURL is plain HTTP, but tls.enabled has frontends speak TLS: use https, or set tls.enabled to false.
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.stores" -}}
{{- $dev := .Values.devDependencies.enabled -}}
{{- if $dev }}
{{- $named := compact (list (ternary "s3.bucket" "" (ne .Values.s3.bucket "")) (ternary "kafka.brokers" "" (ne (len .Values.kafka.brokers) 0)) (ternary "redis.address" "" (ne .Values.redis.address ""))) }}
{{- with $named }}
devDependencies.enabled brings Kafka, Redis and S3 along, so that {{ join " and " . }} would be passed over: remove one or the other.
{{- end }}
{{- else }}
{{- if not .Values.s3.bucket }}
s3.bucket is missing: name a bucket that exists.
{{- end }}
{{- if not .Values.s3.existingSecret }}
s3.existingSecret is missing: name a Secret with credentials for the bucket.
{{- end }}
{{- if not .Values.kafka.brokers }}
kafka.brokers is missing: name some of the brokers, each host:port.
{{- end }}
{{- end }}
{{- if ne (empty .Values.s3.accessKeyIdKey) (empty .Values.s3.secretAccessKeyKey) }}
s3.accessKeyIdKey and s3.secretAccessKeyKey go together: set both, or neither and s3.credentialsKey.
{{- end }}
{{- if and .Values.kafka.singleBroker (eq .Values.environment "production") }}
kafka.singleBroker loses events with that broker: use three brokers, or set environment to `development`.
{{- end }}
{{- if and .Values.kafka.sasl.user (not .Values.kafka.sasl.existingSecret) }}
kafka.sasl.existingSecret is missing: name the Secret with the password of {{ .Values.kafka.sasl.user }}.
{{- end }}
{{- if and .Values.redis.user (not .Values.redis.existingSecret) }}
redis.existingSecret is missing: name the Secret with the password of {{ .Values.redis.user }}.
{{- end }}
{{- $redis := include "meridian.redis.address" . }}
{{- if and (not $redis) (or (gt (int .Values.blob.replicas) 1) .Values.blob.autoscaling.enabled) }}
redis.address is missing: without it blob services share no upload sessions, and blob.replicas has to be 1, without autoscaling.
{{- end }}
{{- if and $redis (not .Values.blob.existingUploadKeySecret) }}
blob.existingUploadKeySecret is missing: blob services that share sessions in Redis sign them with one key.
{{- end }}
{{- end -}}

{{- define "meridian.validate.topology" -}}
{{- $names := list -}}
{{- range include "meridian.peers" . | fromJsonArray }}
{{- if has .name $names }}
topology.regions names `{{ .name }}` twice: keep one.
{{- end }}
{{- $names = append $names .name }}
{{- if not .endpoints }}
topology.regions: `{{ .name }}` has no endpoints: name where replication.peerService is reached there.
{{- end }}
{{- range .endpoints }}
{{- if and $.Values.identity.enabled (not (hasPrefix "https://" .)) }}
topology.regions: {{ . }} is plain, and identity.enabled has regions speak TLS: it begins with https://.
{{- end }}
{{- end }}
{{- with .kafka }}
{{- if and (.sasl | default dict).user (not .sasl.existingSecret) }}
topology.regions: the kafka.sasl of a region has a user and no existingSecret: name the Secret with its password.
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.roles" -}}
{{- $replicas := int .Values.metadata.replicas -}}
{{- if not (has $replicas (list 1 3 5)) }}
metadata.replicas is {{ $replicas }}: a group has 1, 3 or 5 members; an even one bears no more losses than one less, and loses its quorum sooner.
{{- end }}
{{- if and .Values.webhooks.enabled (not .Values.webhooks.existingKeySecret) }}
webhooks.existingKeySecret is missing: name the Secret with the keys that seal webhooks, the same in all regions, or set webhooks.enabled to false.
{{- end }}
{{- range $role := include "meridian.roles" . | fromJsonArray }}
{{- with get $.Values $role }}
{{- if lt (int (include "meridian.grace" (list $ $role))) 5 }}
{{ $role }}.terminationGracePeriodSeconds is {{ .terminationGracePeriodSeconds }}: it has to exceed preStopSleepSeconds by 10 or more, so that an orderly stop is not cut off.
{{- end }}
{{- if and .pdb.enabled (not (kindIs "invalid" .pdb.minAvailable)) (not (kindIs "invalid" .pdb.maxUnavailable)) }}
{{ $role }}.pdb has minAvailable and maxUnavailable: set one of them to null.
{{- end }}
{{- if and .pdb.enabled (kindIs "invalid" .pdb.minAvailable) (kindIs "invalid" .pdb.maxUnavailable) }}
{{ $role }}.pdb has neither minAvailable nor maxUnavailable: set one of them, or pdb.enabled to false.
{{- end }}
{{- $autoscaling := .autoscaling | default dict }}
{{- $keda := .keda | default dict }}
{{- if $autoscaling.enabled }}
{{- if gt (int $autoscaling.minReplicas) (int $autoscaling.maxReplicas) }}
{{ $role }}.autoscaling.minReplicas is more than maxReplicas: turn them round.
{{- end }}
{{- if not (or $autoscaling.targetCPUUtilizationPercentage $autoscaling.metrics) }}
{{ $role }}.autoscaling scales by nothing: set targetCPUUtilizationPercentage or metrics.
{{- end }}
{{- end }}
{{- if and $autoscaling.enabled $keda.enabled }}
{{ $role }}.autoscaling and {{ $role }}.keda would scale the same pods: keep one.
{{- end }}
{{- if $keda.enabled }}
{{- if not $keda.serverAddress }}
{{ $role }}.keda.serverAddress is missing: say where Prometheus answers.
{{- end }}
{{- if gt (int $keda.minReplicas) (int $keda.maxReplicas) }}
{{ $role }}.keda.minReplicas is more than maxReplicas: turn them round.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "meridian.validate.exposure" -}}
{{- $delivery := .Values.frontend.blobDelivery -}}
{{- if and (eq $delivery "redirect") (not .Values.dataURL) }}
frontend.blobDelivery is `redirect`, and dataURL is missing: say where clients find the data endpoints.
{{- end }}
{{- if and .Values.dataURL (not .Values.blob.existingLinkKeySecret) }}
blob.existingLinkKeySecret is missing: links to dataURL are signed with a key that frontends and blob services share.
{{- end }}
{{- if and .Values.dataURL .Values.externalURL (hasPrefix "https://" .Values.externalURL) (not (hasPrefix "https://" .Values.dataURL)) }}
dataURL would send clients from https to plain HTTP: use https.
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
gateway.parentRefs is missing: name the Gateway that routes are attached to.
{{- end }}
{{- if and .Values.ingress.enabled .Values.gateway.enabled }}
gateway.enabled and ingress.enabled would both route the same names: keep one.
{{- end }}
{{- end -}}
