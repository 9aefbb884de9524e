{{/*
One secret's value: as given, else as it is in the cluster, else drawn. Takes root, key, given.
1. A value is drawn at the first installation. 2. An upgrade draws another. 3. Running pods know the first, restarted
ones the second, and they no longer talk to one another. So what is in the cluster is kept.
*/}}
{{- define "walstitch.secretValue" -}}
{{- if .given -}}
{{- .given | b64enc -}}
{{- else -}}
{{- $there := lookup "v1" "Secret" .root.Release.Namespace (include "walstitch.secretName" .root) -}}
{{- dig "data" .key "" ($there | default dict) | default (randAlphaNum 32 | b64enc) -}}
{{- end -}}
{{- end -}}

{{/* The release's Secret, with what is not in an existing one. */}}
{{- define "walstitch.generatedSecrets" -}}
{{- $auth := .Values.auth -}}
{{- if and $auth.kvrocks.enabled (not $auth.kvrocks.existingSecret) }}
kvrocks-password: {{ include "walstitch.secretValue" (dict "root" . "key" "kvrocks-password" "given" $auth.kvrocks.password) }}
{{- end }}
{{- if not $auth.agent.existingSecret }}
agent-token: {{ include "walstitch.secretValue" (dict "root" . "key" "agent-token" "given" $auth.agent.token) }}
{{- end }}
{{- if and .Values.controller.enabled (not $auth.controller.existingSecret) }}
controller-token: {{ include "walstitch.secretValue" (dict "root" . "key" "controller-token" "given" $auth.controller.token) }}
{{- end }}
{{- if and $auth.view.enabled (not $auth.view.existingSecret) }}
view-token: {{ include "walstitch.secretValue" (dict "root" . "key" "view-token" "given" $auth.view.token) }}
{{- end }}
{{- end -}}

{{/* One source of a projected volume. Takes root, secret (of auth) and file. */}}
{{- define "walstitch.secretSource" -}}
- secret:
    name: {{ .secret.existingSecret | default (include "walstitch.secretName" .root) }}
    items:
      - {key: {{ if .secret.existingSecret }}{{ .secret.existingSecretKey }}{{ else }}{{ .file }}{{ end }}, path: {{ .file }}}
{{- end -}}

{{- define "walstitch.viewSecretSource" -}}
{{- if .Values.auth.view.enabled -}}
{{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.view "file" "view-token") -}}
{{- end -}}
{{- end -}}

{{/* The secrets of a group's pod, in one directory. */}}
{{- define "walstitch.agentSecretsVolume" -}}
- name: walstitch-secrets
  projected:
    defaultMode: 0440
    sources:
      {{- if .Values.auth.kvrocks.enabled }}
      {{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.kvrocks "file" "kvrocks-password") | nindent 6 }}
      {{- end }}
      {{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.agent "file" "agent-token") | nindent 6 }}
      {{- with include "walstitch.viewSecretSource" . }}
      {{- . | nindent 6 }}
      {{- end }}
{{- end -}}

{{/* Those of the controller. */}}
{{- define "walstitch.controllerSecretsVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- if .Values.auth.kvrocks.enabled }}
      {{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.kvrocks "file" "kvrocks-password") | nindent 6 }}
      {{- end }}
      {{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.agent "file" "agent-token") | nindent 6 }}
      {{- include "walstitch.secretSource" (dict "root" . "secret" .Values.auth.controller "file" "controller-token") | nindent 6 }}
      {{- with include "walstitch.viewSecretSource" . }}
      {{- . | nindent 6 }}
      {{- end }}
{{- end -}}
