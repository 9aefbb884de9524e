{{/*
kvrocks.conf but for the passwords, which an init container adds. Takes a merged group. In YAML, yes and no are true and
false, and large numbers are floats: they are written as Kvrocks reads them.
*/}}
{{- define "walstitch.kvrocksConfig" -}}
{{- range $name, $value := .kvrocks.config }}
{{- if kindIs "bool" $value }}
{{ $name }} {{ ternary "yes" "no" $value }}
{{- else if kindIs "float64" $value }}
{{ $name }} {{ toJson $value }}
{{- else }}
{{ $name }} {{ $value }}
{{- end }}
{{- end }}
{{- with .kvrocks.configText | trim }}
{{ . }}
{{- end }}
{{- if .tls.enabled }}
tls-port 6667
tls-cert-file /etc/kvrocks/tls/{{ .tls.certificateKey }}
tls-key-file /etc/kvrocks/tls/{{ .tls.privateKeyKey }}
{{- if .tls.clientAuthorityKey }}
tls-ca-cert-file /etc/kvrocks/tls/{{ .tls.clientAuthorityKey }}
tls-auth-clients yes
{{- else }}
tls-auth-clients no
{{- end }}
{{- end }}
log-dir stdout
pidfile /run/kvrocks/kvrocks.pid
{{- end -}}

{{- define "walstitch.kvrocksConfigName" -}}
{{- include "walstitch.groupName" . }}-kvrocks
{{- end -}}

{{/*
Writes /run/kvrocks/kvrocks.conf, in memory. The password goes from file to file: it is in no argument and no environment.
Kvrocks reads one setting a line, quoted; a quotation mark or backslash in it is escaped.
*/}}
{{- define "walstitch.kvrocksConfigContainer" -}}
- name: kvrocks-config
  {{- include "walstitch.image" (dict "root" .root "image" .group.kvrocks.image) | nindent 2 }}
  command:
    - sh
    - -ceu
    - |
      umask 077
      cp /etc/kvrocks/kvrocks.conf /run/kvrocks/kvrocks.conf
      {{- if .root.Values.auth.kvrocks.enabled }}
      password=$(sed 's/[\\"]/\\&/g' /etc/walstitch/secrets/kvrocks-password)
      case $password in
        '' | *"
      "*) echo 'the Secret must hold a password of one line' >&2; exit 1 ;;
      esac
      printf 'requirepass "%s"\nmasterauth "%s"\n' "$password" "$password" >> /run/kvrocks/kvrocks.conf
      {{- end }}
  resources:
    requests: {cpu: 10m, memory: 16Mi}
  securityContext:
    {{- include "walstitch.containerSecurityContext" .root | nindent 4 }}
  volumeMounts:
    - {name: kvrocks-config, mountPath: /etc/kvrocks/kvrocks.conf, subPath: kvrocks.conf, readOnly: true}
    - {name: kvrocks-run, mountPath: /run/kvrocks}
    {{- if .root.Values.auth.kvrocks.enabled }}
    - {name: walstitch-secrets, mountPath: /etc/walstitch/secrets, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "walstitch.kvrocksContainer" -}}
{{- $group := .group -}}
- name: kvrocks
  {{- include "walstitch.image" (dict "root" .root "image" $group.kvrocks.image) | nindent 2 }}
  command: [kvrocks]
  args:
    - -c
    - /run/kvrocks/kvrocks.conf
    - --bind
    - $(POD_IP) 127.0.0.1
    - --port
    - "6666"
    - --dir
    - /data
    # It boots as the replica of its own agent: no restart can bring up a second master.
    - --slaveof
    - {{ include "walstitch.kvrocksSlaveOf" . }}
  env:
    - name: POD_IP
      valueFrom: {fieldRef: {fieldPath: status.podIP}}
  ports:
    - {name: kvrocks, containerPort: 6666}
    {{- if $group.tls.enabled }}
    - {name: kvrocks-tls, containerPort: 6667}
    {{- end }}
  lifecycle:
    preStop:
      {{- include "walstitch.kvrocksPreStop" . | nindent 6 }}
  startupProbe:
    tcpSocket: {port: kvrocks}
    periodSeconds: 5
    timeoutSeconds: 2
    failureThreshold: {{ max 1 (div $group.kvrocks.startup.timeoutSeconds 5) }}
  # Slow and patient: the controller replaces a hung master long before; this only ends what would hang for ever.
  livenessProbe:
    tcpSocket: {port: kvrocks}
    periodSeconds: 20
    timeoutSeconds: 10
    failureThreshold: {{ max 1 (div $group.kvrocks.liveness.timeoutSeconds 20) }}
  {{- with $group.kvrocks.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- include "walstitch.containerSecurityContext" .root | nindent 4 }}
  volumeMounts:
    - {name: kvrocks-run, mountPath: /run/kvrocks}
    - {name: data, mountPath: /data}
    {{- include "walstitch.kvrocksVolumeMounts" . | nindent 4 }}
    {{- if $group.tls.enabled }}
    - {name: kvrocks-tls, mountPath: /etc/kvrocks/tls, readOnly: true}
    {{- end }}
{{- end -}}
