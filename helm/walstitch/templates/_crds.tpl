{{/* metadata of a custom resource's definition: it is for the whole cluster, and has no namespace. */}}
{{- define "walstitch.crdMetadata" -}}
name: {{ .name }}
labels:
  {{- include "walstitch.labels" (dict "root" .root "component" "controller") | nindent 2 }}
{{- with merge (.root.Values.controller.crds.keep | ternary (dict "helm.sh/resource-policy" "keep") (dict)) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Custom resources are brought by the release whose controllers keep their state in them. */}}
{{- define "walstitch.bringsCrds" -}}
{{- if and .Values.controller.enabled .Values.controller.crds.create (eq (include "walstitch.store" .) "shared") }}yes{{ end -}}
{{- end -}}
