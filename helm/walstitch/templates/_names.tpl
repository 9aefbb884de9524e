{{/*
Every template of this chart takes its own scope as `root`: `$` in here, `.Subcharts.walstitch` in a chart that depends
on it. So a name never hangs on who asks.
*/}}

{{/* Name of the release's controller, and of what it shares: at most 40 characters, as others are put behind it. */}}
{{- define "walstitch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default "walstitch" .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "walstitch.secretName" -}}
{{- include "walstitch.fullname" . }}-secrets
{{- end -}}

{{- define "walstitch.policiesName" -}}
{{- .Values.policiesConfigMap | default (printf "%s-policies" (include "walstitch.fullname" .)) -}}
{{- end -}}

{{- define "walstitch.controllerServiceAccount" -}}
{{- .Values.controller.serviceAccount.name | default (include "walstitch.fullname" .) -}}
{{- end -}}

{{/* Name of a group's StatefulSet, and what its Services' names begin with. Takes a merged group. */}}
{{- define "walstitch.groupName" -}}
{{- printf "%s%s" .namePrefix .name -}}
{{- end -}}
