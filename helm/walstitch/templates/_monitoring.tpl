{{/* One endpoint of a PodMonitor. Takes root, port, and the token's secret (of auth) and file, where none may only look. */}}
{{- define "walstitch.metricsEndpoint" -}}
{{- $view := .root.Values.auth.view.enabled -}}
{{- $secret := $view | ternary .root.Values.auth.view .secret -}}
{{- $tls := .root.Values.api.tls -}}
port: {{ .port }}
path: /metrics
interval: {{ .root.Values.monitoring.podMonitors.interval }}
{{- if $tls.secretName }}
scheme: https
tlsConfig:
  serverName: {{ $tls.serverName }}
  ca:
    secret: {name: {{ $tls.secretName }}, key: ca.crt}
  {{- if $tls.clientCertificates }}
  cert:
    secret: {name: {{ $tls.secretName }}, key: tls.crt}
  keySecret: {name: {{ $tls.secretName }}, key: tls.key}
  {{- end }}
{{- end }}
authorization:
  credentials:
    name: {{ $secret.existingSecret | default (include "walstitch.secretName" .root) }}
    key: {{ if $secret.existingSecret }}{{ $secret.existingSecretKey }}{{ else }}{{ $view | ternary "view-token" .file }}{{ end }}
{{- end -}}
