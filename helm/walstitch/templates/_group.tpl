{{/* A group with what groupDefaults says for it, as YAML. Takes root and group. */}}
{{- define "walstitch.group" -}}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.groupDefaults) (deepCopy .group)) -}}
{{- end -}}

{{- define "walstitch.storageClass" -}}
{{- $class := .volume.storageClass | default .root.Values.global.storageClass -}}
{{- if eq $class "-" -}}
storageClassName: ""
{{- else if $class -}}
storageClassName: {{ $class }}
{{- end -}}
{{- end -}}

{{/* One entry of volumeClaimTemplates. Takes root, group (merged), name, volume. */}}
{{- define "walstitch.volumeClaim" -}}
- apiVersion: v1
  kind: PersistentVolumeClaim
  metadata:
    name: {{ .name }}
    labels:
      {{- include "walstitch.selectorLabels" (dict "root" .root "component" "kvrocks") | nindent 6 }}
      {{- include "walstitch.podLabels" . | nindent 6 }}
    {{- with .volume.annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes: {{ toJson .volume.accessModes }}
    {{- with include "walstitch.storageClass" . }}
    {{- . | nindent 4 }}
    {{- end }}
    resources:
      requests: {storage: {{ .volume.size }}}
{{- end -}}
