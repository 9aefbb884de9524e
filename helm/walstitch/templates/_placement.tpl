{{/* Spread constraints, each with a selector. Takes constraints and selector (a map of labels). */}}
{{- define "walstitch.topologySpread" -}}
topologySpreadConstraints:
  {{- $selector := .selector }}
  {{- range .constraints }}
  {{- $own := dict "labelSelector" (dict "matchLabels" $selector) }}
  - {{ merge (dict) . $own | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end -}}

{{/* podAntiAffinity by preset. Takes preset, topologyKey and selector. */}}
{{- define "walstitch.antiAffinity" -}}
podAntiAffinity:
  {{- if eq .preset "hard" }}
  requiredDuringSchedulingIgnoredDuringExecution:
    - labelSelector:
        matchLabels:
          {{- toYaml .selector | nindent 10 }}
      topologyKey: {{ .topologyKey }}
  {{- else }}
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        labelSelector:
          matchLabels:
            {{- toYaml .selector | nindent 12 }}
        topologyKey: {{ .topologyKey }}
  {{- end }}
{{- end -}}

{{/* Where a group's pods may run. Takes a merged group. */}}
{{- define "walstitch.groupPlacement" -}}
{{- $selector := dict "walstitch.io/group" .name }}
{{- if .affinity }}
affinity:
  {{- toYaml .affinity | nindent 2 }}
{{- else if ne .podAntiAffinity "none" }}
affinity:
  {{- include "walstitch.antiAffinity" (dict "preset" .podAntiAffinity "topologyKey" .podAntiAffinityTopologyKey "selector" $selector) | nindent 2 }}
{{- end }}
{{- with .topologySpreadConstraints }}
{{ include "walstitch.topologySpread" (dict "constraints" . "selector" $selector) }}
{{- end }}
{{- include "walstitch.nodePlacement" . }}
{{- end -}}

{{/* nodeSelector, tolerations, priorityClassName of whatever has them. */}}
{{- define "walstitch.nodePlacement" -}}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
