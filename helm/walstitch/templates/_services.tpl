{{/* ports of a Service that clients use. Takes root, group (merged) and port. */}}
{{- define "walstitch.clientPorts" -}}
{{- if or (not .group.tls.enabled) .group.tls.plaintextClients }}
- {name: kvrocks, port: {{ .port | default 6666 | int }}, targetPort: {{ .port | default 6666 | int }}}
{{- end }}
{{- if .group.tls.enabled }}
- {name: kvrocks-tls, port: 6667, targetPort: 6667}
{{- end }}
{{- end -}}

{{/* The three Services of a group, whole documents. Takes the dict of _agent.tpl. */}}
{{- define "walstitch.services" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- $name := include "walstitch.groupName" $group -}}
{{- $labels := dict "walstitch.io/group" $group.name -}}
{{- $ports := include "walstitch.clientPorts" (dict "group" $group "port" .port) | trim -}}
# The master, by the label that the controller moves. It does not ask for readiness: the restart of an agent, or a slow
# API server, is no reason to take a master that writes from its clients; nor is its pod's end, until it has left.
apiVersion: v1
kind: Service
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (printf "%s-master" $name) "labels" $labels "annotations" $group.services.master.annotations) | nindent 2 }}
spec:
  type: {{ $group.services.master.type }}
  publishNotReadyAddresses: true
  selector:
    walstitch.io/group: {{ $group.name }}
    walstitch.io/role: master
  ports:
    {{- $ports | nindent 4 }}
---
# The replicas that are in service: in sync, and not held for repair.
apiVersion: v1
kind: Service
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (printf "%s-replicas" $name) "labels" $labels "annotations" $group.services.replicas.annotations) | nindent 2 }}
spec:
  type: {{ $group.services.replicas.type }}
  selector:
    walstitch.io/group: {{ $group.name }}
    walstitch.io/role: replica
  ports:
    {{- $ports | nindent 4 }}
---
# A name for each pod, whatever its state.
apiVersion: v1
kind: Service
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (printf "%s-headless" $name) "labels" $labels) | nindent 2 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector:
    walstitch.io/group: {{ $group.name }}
  ports:
    {{- $ports | nindent 4 }}
{{- end -}}

{{/* The PodDisruptionBudget of a group, a whole document. */}}
{{- define "walstitch.podDisruptionBudget" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- if $group.podDisruptionBudget.enabled -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (include "walstitch.groupName" $group) "labels" (dict "walstitch.io/group" $group.name)) | nindent 2 }}
spec:
  maxUnavailable: {{ $group.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      walstitch.io/group: {{ $group.name }}
{{- end -}}
{{- end -}}
