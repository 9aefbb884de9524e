{{/* securityContext of a pod. */}}
{{- define "walstitch.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.security.runAsUser }}
runAsUser: {{ int . }}
{{- end }}
{{- with .Values.security.runAsGroup }}
runAsGroup: {{ int . }}
{{- end }}
{{- with .Values.security.fsGroup }}
fsGroup: {{ int . }}
# A data volume holds many files: they are looked through only when the top one does not fit.
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* securityContext of every container. It names the user again: an including chart's pod may say nothing of one. */}}
{{- define "walstitch.containerSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.security.runAsUser }}
runAsUser: {{ int . }}
{{- end }}
{{- with .Values.security.runAsGroup }}
runAsGroup: {{ int . }}
{{- end }}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}
