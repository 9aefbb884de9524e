{{/* Labels of everything but pods and volume claims, which would have to be replaced for a new version's label. */}}
{{- define "walstitch.labels" -}}
helm.sh/chart: {{ printf "walstitch-%s" .root.Chart.Version | replace "+" "_" }}
{{ include "walstitch.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: walstitch
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What never changes in a release. Takes root and component. */}}
{{- define "walstitch.selectorLabels" -}}
app.kubernetes.io/name: walstitch
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* The one label by which the controller finds a group's pods and StatefulSets, and Services their group. */}}
{{- define "walstitch.podLabels" -}}
walstitch.io/group: {{ .group.name }}
{{- end -}}

{{/* metadata of an object. Takes root, component, name; and labels, annotations (maps). */}}
{{- define "walstitch.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "walstitch.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (.annotations | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
