{{- define "walstitch.dnsEgress" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "walstitch.controllerPeer" -}}
podSelector:
  matchLabels:
    {{- include "walstitch.selectorLabels" (dict "root" . "component" "controller") | nindent 4 }}
{{- end -}}

{{/* Where the nodes of a group reach one another's servers. Takes the dict of _agent.tpl. */}}
{{- define "walstitch.replicationPorts" -}}
{{- if not .root.Values.replication.tlsOnly -}}
- {port: {{ .port | default 6666 | int }}}
{{ end -}}
{{- if .root.Values.replication.gates -}}
- {port: 7668}
{{- end -}}
{{- end -}}

{{/* The NetworkPolicy of a group's pods, a whole document. Takes the dict of _agent.tpl. */}}
{{- define "walstitch.networkPolicy" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- $port := .port | default 6666 | int -}}
{{- if .root.Values.networkPolicy.enabled -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (include "walstitch.groupName" $group) "labels" (dict "walstitch.io/group" $group.name)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      walstitch.io/group: {{ $group.name }}
  policyTypes: [Ingress, Egress]
  ingress:
    # One another: replication, and the agents' API.
    - from:
        - podSelector:
            matchLabels:
              walstitch.io/group: {{ $group.name }}
      ports:
        {{- include "walstitch.replicationPorts" . | trim | nindent 8 }}
        - {port: 7667}
    # The controller: the same, and whether the server lives where its clients go.
    - from:
        {{- if .root.Values.controller.enabled }}
        - {{ include "walstitch.controllerPeer" .root | nindent 10 | trim }}
        {{- else }}
        - podSelector:
            matchLabels:
              app.kubernetes.io/name: walstitch
              app.kubernetes.io/component: controller
        {{- end }}
      ports:
        - {port: {{ $port }}}
        {{- if $group.tls.enabled }}
        - {port: 6667}
        {{- end }}
        {{- if .root.Values.replication.gates }}
        - {port: 7668}
        {{- end }}
        - {port: 7667}
    {{- with .root.Values.networkPolicy.monitors }}
    # Prometheus.
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        - {port: 7667}
    {{- end }}
    {{- with .root.Values.networkPolicy.clients }}
    # Clients.
    - from:
        {{- toYaml . | nindent 8 }}
      ports:
        {{- if or (not $group.tls.enabled) $group.tls.plaintextClients }}
        - {port: {{ $port }}}
        {{- end }}
        {{- if $group.tls.enabled }}
        - {port: 6667}
        {{- end }}
    {{- end }}
  egress:
    # One another.
    - to:
        - podSelector:
            matchLabels:
              walstitch.io/group: {{ $group.name }}
      ports:
        {{- include "walstitch.replicationPorts" . | trim | nindent 8 }}
        - {port: 7667}
    {{- include "walstitch.dnsEgress" . | nindent 4 }}
    {{- with .root.Values.networkPolicy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}
