{{/*
The agent beside a Kvrocks: what a pod needs of it, piece by piece, for this chart's own StatefulSets and for those of
a chart that depends on this one (helm/examples/own-statefulset). Each takes a dict:

  root        this chart's scope: `.Subcharts.walstitch`
  group       the group, as an entry of `groups`: {name: shop}; groupDefaults hold for it
  port        Kvrocks' port (6666)
  dataVolume  name of the pod's volume with Kvrocks' `dir` (data)
  dataPath    where in that volume the `dir` is, as the agent's container sees it (/data)
*/}}

{{/* The Kvrocks of a group starts with `--slaveof` of this: as the replica of its own agent, read-only. */}}
{{- define "walstitch.kvrocksSlaveOf" -}}
127.0.0.1 7666
{{- end -}}

{{/* Seconds between the order to end and the kill. */}}
{{- define "walstitch.terminationGracePeriodSeconds" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- add $group.leaveSeconds $group.closeSeconds -}}
{{- end -}}

{{/* A pod is ready when the controller, too, says so. */}}
{{- define "walstitch.readinessGates" -}}
- conditionType: walstitch.io/in-service
{{- end -}}

{{- define "walstitch.agentConfigName" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- include "walstitch.groupName" $group }}-agent
{{- end -}}

{{/* agent.yaml */}}
{{- define "walstitch.agentConfig" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- $port := .port | default 6666 | int -}}
{{- $secrets := "/etc/walstitch/secrets" -}}
group: {{ $group.name }}
kvrocks:
  host: 127.0.0.1
  port: {{ $port }}
  {{- if .root.Values.auth.kvrocks.enabled }}
  passwordFile: {{ $secrets }}/kvrocks-password
  {{- end }}
  dir: {{ .dataPath | default "/data" }}
announce:
  {{- /* Where Sentinel's clients are sent to. Through gates, relays and the controller take the host alone of it. */}}
  port: {{ ternary 6667 $port (and .root.Values.replication.tlsOnly $group.tls.enabled (not $group.tls.plaintextClients)) }}
relay:
  host: 127.0.0.1
  port: 7666
{{- if .root.Values.auth.kvrocks.enabled }}
upstreamPasswordFile: {{ $secrets }}/kvrocks-password
{{- end }}
api:
  port: 7667
  tokenFile: {{ $secrets }}/agent-token
  {{- with include "walstitch.apiAccess" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- if .root.Values.api.tls.secretName }}
peerTls:
  {{- include "walstitch.clientTls" .root | nindent 2 }}
{{- end }}
{{- if .root.Values.replication.gates }}
gate:
  port: 7668
  certificateFile: /etc/walstitch/tls/tls.crt
  keyFile: /etc/walstitch/tls/tls.key
  clientCaFile: /etc/walstitch/tls/ca.crt
  clientName: {{ .root.Values.api.tls.serverName }}
{{- end }}
{{- if .root.Values.replication.tls }}
upstreamTls:
  {{- include "walstitch.gateTls" .root | nindent 2 }}
upstreamPort: 7668
{{- end }}
stateDir: /var/lib/walstitch
leave:
  directory: /run/walstitch
salvage:
  {{- toYaml $group.agent.salvage | nindent 2 }}
logLevel: {{ $group.agent.logLevel }}
{{- end -}}

{{/* The ConfigMap of a group's agents, a whole document. */}}
{{- define "walstitch.agentConfigMap" -}}
{{- include "walstitch.checkSalvage" (include "walstitch.group" . | fromYaml) -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "walstitch.metadata" (dict "root" .root "component" "kvrocks" "name" (include "walstitch.agentConfigName" .) "labels" (include "walstitch.podLabels" . | fromYaml)) | nindent 2 }}
data:
  agent.yaml: |
    {{- include "walstitch.agentConfig" . | nindent 4 }}
{{- end -}}

{{/* An annotation of the pods: agents read their configuration once, so a change must replace them. */}}
{{- define "walstitch.agentPodAnnotations" -}}
checksum/agent-config: {{ include "walstitch.agentConfig" . | sha256sum }}
{{- end -}}

{{/* Entries of `volumes`. The volume of the agent's state is a claim: walstitch.agentVolumeClaim. */}}
{{- define "walstitch.agentVolumes" -}}
- name: walstitch-config
  configMap:
    name: {{ include "walstitch.agentConfigName" . }}
- name: walstitch-run
  emptyDir: {}
{{ include "walstitch.agentSecretsVolume" .root }}
{{- with include "walstitch.tlsVolume" .root }}
{{ . }}
{{- end }}
{{- end -}}

{{/* An entry of `volumeClaimTemplates`: what the agent must still know after a restart. */}}
{{- define "walstitch.agentVolumeClaim" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
{{- include "walstitch.volumeClaim" (dict "root" .root "group" $group "name" "walstitch-state" "volume" $group.persistence.state) -}}
{{- end -}}

{{/* An entry of `initContainers`: a native sidecar. It starts before Kvrocks, which follows it, and ends after it. */}}
{{- define "walstitch.agentContainer" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
- name: walstitch-agent
  {{- include "walstitch.image" (dict "root" .root "image" .root.Values.image) | nindent 2 }}
  restartPolicy: Always
  command: [walstitch-agent]
  args:
    - --config
    - /etc/walstitch/agent.yaml
    - --node
    - $(POD_NAME)
    - --host
    - $(POD_IP)
  env:
    {{- include "walstitch.podEnvironment" . | nindent 4 }}
  ports:
    - {name: agent, containerPort: 7667}
    {{- if .root.Values.replication.gates }}
    - {name: gate, containerPort: 7668}
    {{- end }}
  # Alive: the agent answers, whatever its Kvrocks does. A parked node is alive.
  startupProbe:
    httpGet: {path: /healthz, port: agent{{ include "walstitch.probeScheme" .root }}}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  livenessProbe:
    httpGet: {path: /healthz, port: agent{{ include "walstitch.probeScheme" .root }}}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  # Ready: the node is the master, or in sync with it, and not held for repair.
  readinessProbe:
    httpGet: {path: /readyz, port: agent{{ include "walstitch.probeScheme" .root }}}
    periodSeconds: 2
    timeoutSeconds: 2
    failureThreshold: 2
  {{- with $group.agent.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "walstitch.containerSecurityContext" .root | nindent 4 }}
  volumeMounts:
    - {name: walstitch-config, mountPath: /etc/walstitch/agent.yaml, subPath: agent.yaml, readOnly: true}
    - {name: walstitch-secrets, mountPath: /etc/walstitch/secrets, readOnly: true}
    {{- with include "walstitch.tlsVolumeMount" .root }}
    {{- . | nindent 4 }}
    {{- end }}
    - {name: walstitch-state, mountPath: /var/lib/walstitch}
    - {name: walstitch-run, mountPath: /run/walstitch}
    - {name: {{ .dataVolume | default "data" }}, mountPath: /data, readOnly: true}
{{- end -}}

{{- define "walstitch.podEnvironment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end -}}

{{/* An entry of the Kvrocks container's `volumeMounts`: where it asks its agent to leave. */}}
{{- define "walstitch.kvrocksVolumeMounts" -}}
- {name: walstitch-run, mountPath: /run/walstitch}
{{- end -}}

{{/*
The Kvrocks container's `lifecycle.preStop`: asks the agent to leave, and waits until the node is nobody's master. Kvrocks
is told to stop after that. When it cannot be had in leaveSeconds (nobody else is eligible, no controller answers), the
pod ends all the same, and the group fails over as after a crash.
*/}}
{{- define "walstitch.kvrocksPreStop" -}}
{{- $group := include "walstitch.group" . | fromYaml -}}
exec:
  command:
    - sh
    - -c
    - |
      rm -f /run/walstitch/left
      touch /run/walstitch/leave
      tenths=0
      while [ ! -e /run/walstitch/left ] && [ "$tenths" -lt {{ mul $group.leaveSeconds 10 }} ]; do
        sleep 0.2
        tenths=$((tenths + 2))
      done
{{- end -}}
