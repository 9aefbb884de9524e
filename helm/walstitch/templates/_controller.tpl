{{/* local or shared. */}}
{{- define "walstitch.store" -}}
{{- .Values.controller.store | default (ternary "shared" "local" (gt (int .Values.controller.replicas) 1)) -}}
{{- end -}}

{{/* controller.yaml. It names no groups: they come from the labels of StatefulSets and pods. */}}
{{- define "walstitch.controllerConfig" -}}
{{- $controller := .Values.controller -}}
{{- $secrets := "/etc/walstitch/secrets" -}}
api:
  port: 7700
  tokenFile: {{ $secrets }}/controller-token
  {{- with include "walstitch.apiAccess" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- with $controller.sentinel }}
{{- if .enabled }}
sentinel:
  port: 26379
  {{- if .withoutToken }}
  withoutToken: true
  {{- end }}
  maxConnections: {{ int .maxConnections }}
  {{- if gt (int $controller.replicas) 1 }}
  others:
    - {{ include "walstitch.fullname" $ }}-sentinels:26379
  {{- end }}
{{- end }}
{{- end }}
stateDir: /var/lib/walstitch-controller
agentTokenFile: {{ $secrets }}/agent-token
{{- if .Values.api.tls.secretName }}
agentTls:
  {{- include "walstitch.clientTls" . | nindent 2 }}
{{- end }}
{{- if .Values.auth.kvrocks.enabled }}
kvrocksPasswordFile: {{ $secrets }}/kvrocks-password
{{- end }}
policies:
  - /etc/walstitch/policies
maxConcurrentFullSyncs: {{ int $controller.maxConcurrentFullSyncs }}
maxConcurrentFullSyncsPerZone: {{ int $controller.maxConcurrentFullSyncsPerZone }}
fullSyncRate: {{ kindIs "float64" $controller.fullSyncRate | ternary (int64 $controller.fullSyncRate) $controller.fullSyncRate }}
logLevel: {{ $controller.logLevel }}
lease:
  {{- toYaml $controller.lease | nindent 2 }}
failover:
  {{- toYaml $controller.failover | nindent 2 }}
kubernetes:
  serviceAccount: /var/run/secrets/kubernetes.io/serviceaccount
  store: {{ include "walstitch.store" . }}
  name: {{ include "walstitch.fullname" . }}
  {{- if eq (include "walstitch.store" .) "shared" }}
  leadership:
    duration: {{ $controller.leadership.duration }}
  keepDecisions: {{ int $controller.keepDecisions }}
  {{- end }}
  policyConfigMap: {{ include "walstitch.policiesName" . }}
{{- end -}}
