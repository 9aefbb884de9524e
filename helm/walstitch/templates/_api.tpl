{{/*
What the APIs of controller and agents have in common. A directory is mounted, not files of it: so the kubelet's updates
are seen, and read.
*/}}

{{/* Lines of `api:`. */}}
{{- define "walstitch.apiAccess" -}}
{{- if .Values.auth.view.enabled }}
tokens:
  - {name: view, role: view, file: /etc/walstitch/secrets/view-token}
{{- end }}
{{- if .Values.api.tls.secretName }}
tls:
  certificateFile: /etc/walstitch/tls/tls.crt
  keyFile: /etc/walstitch/tls/tls.key
  {{- if .Values.api.tls.clientCertificates }}
  clientCaFile: /etc/walstitch/tls/ca.crt
  {{- end }}
{{- end }}
{{- end -}}

{{/* Of whoever speaks to the API of an agent: agentTls, peerTls. */}}
{{- define "walstitch.clientTls" -}}
{{- if .Values.api.tls.clientCertificates -}}
{{- include "walstitch.gateTls" . -}}
{{- else -}}
caFile: /etc/walstitch/tls/ca.crt
serverName: {{ .Values.api.tls.serverName }}
{{- end -}}
{{- end -}}

{{/* Of whoever goes through the gates: upstreamTls, kvrocksTls. */}}
{{- define "walstitch.gateTls" -}}
caFile: /etc/walstitch/tls/ca.crt
certificateFile: /etc/walstitch/tls/tls.crt
keyFile: /etc/walstitch/tls/tls.key
serverName: {{ .Values.api.tls.serverName }}
{{- end -}}

{{/* An entry of `volumes`, and one of `volumeMounts`. */}}
{{- define "walstitch.tlsVolume" -}}
{{- if .Values.api.tls.secretName -}}
- name: walstitch-tls
  secret:
    secretName: {{ .Values.api.tls.secretName }}
    defaultMode: 0440
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
      - {key: ca.crt, path: ca.crt}
{{- end -}}
{{- end -}}
{{- define "walstitch.tlsVolumeMount" -}}
{{- if .Values.api.tls.secretName -}}
- {name: walstitch-tls, mountPath: /etc/walstitch/tls, readOnly: true}
{{- end -}}
{{- end -}}

{{/* Behind a probe's port. */}}
{{- define "walstitch.probeScheme" -}}
{{- if .Values.api.tls.secretName }}, scheme: HTTPS{{ end -}}
{{- end -}}

{{/* Entries of `env`, for the command line. */}}
{{- define "walstitch.commandLineTls" -}}
{{- if .Values.api.tls.secretName -}}
- {name: WALSTITCH_CA_FILE, value: /etc/walstitch/tls/ca.crt}
{{- if .Values.api.tls.clientCertificates }}
- {name: WALSTITCH_CERTIFICATE_FILE, value: /etc/walstitch/tls/tls.crt}
- {name: WALSTITCH_KEY_FILE, value: /etc/walstitch/tls/tls.key}
{{- end }}
- {name: WALSTITCH_SERVER_NAME, value: {{ .Values.api.tls.serverName }}}
{{- end -}}
{{- end -}}
