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
{{- if .Values.replication.tls }}
kvrocksTls:
  {{- include "walstitch.gateTls" . | nindent 2 }}
kvrocksPort: 7668
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
{{- with $controller.webhooks }}
webhooks:
  {{- range . }}
  - name: {{ .name | quote }}
    {{- if .urlKey }}
    urlFile: /etc/walstitch/webhooks/{{ .name }}/url
    {{- else }}
    url: {{ .url | quote }}
    {{- end }}
    secretFile: /etc/walstitch/webhooks/{{ .name }}/secret
    {{- if .caKey }}
    caFile: /etc/walstitch/webhooks/{{ .name }}/ca.pem
    {{- end }}
    {{- with pick . "events" "severity" "timeout" "tellAgain" "insecure" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
{{- end }}
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

{{/* The files that webhooks need, one directory for each. A projected volume: so a Secret's changes are seen. */}}
{{- define "walstitch.webhooksVolume" -}}
- name: webhooks
  projected:
    defaultMode: 0440
    sources:
      {{- range .Values.controller.webhooks }}
      - secret:
          name: {{ .existingSecret }}
          items:
            - {key: {{ .secretKey | default "signing-secret" }}, path: {{ .name }}/secret}
            {{- if .caKey }}
            - {key: {{ .caKey }}, path: {{ .name }}/ca.pem}
            {{- end }}
            {{- if .urlKey }}
            - {key: {{ .urlKey }}, path: {{ .name }}/url}
            {{- end }}
      {{- end }}
{{- end -}}

{{/* The ports that webhooks are at, each once, as a list in YAML. 443 where the address is in a Secret. */}}
{{- define "walstitch.webhookPorts" -}}
{{- $ports := list -}}
{{- range .Values.controller.webhooks -}}
{{- $port := 443 -}}
{{- if not .urlKey -}}
{{- $url := urlParse (.url | default "") -}}
{{- $given := regexFind ":[0-9]+$" $url.host -}}
{{- $port = $given | trimPrefix ":" | default (ternary "80" "443" (eq $url.scheme "http")) | int -}}
{{- end -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- $ports | uniq | toYaml -}}
{{- end -}}
