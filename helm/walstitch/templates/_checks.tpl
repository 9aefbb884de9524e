{{/*
What values.schema.json cannot say. Each refusal is one sentence: what is wrong, where, what to do.
*/}}
{{- define "walstitch.check" -}}
{{- include "walstitch.checkSecrets" . -}}
{{- include "walstitch.checkPolicies" . -}}
{{- include "walstitch.checkController" . -}}
{{- include "walstitch.checkLabels" (dict "where" "commonLabels" "labels" .Values.commonLabels) -}}
{{- $names := dict -}}
{{- range .Values.groups -}}
{{- $group := include "walstitch.group" (dict "root" $ "group" .) | fromYaml -}}
{{- $name := include "walstitch.groupName" $group -}}
{{- if or (hasKey $names $group.name) (has $name (values $names)) -}}
{{- fail (printf "groups: two of them are named %s; a group's name is its own in the whole namespace" $group.name) -}}
{{- end -}}
{{- $_ := set $names $group.name $name -}}
{{- include "walstitch.checkGroup" (dict "root" $ "group" $group "name" $name) -}}
{{- end -}}
{{- end -}}

{{- define "walstitch.checkSecrets" -}}
{{- range $owner, $secret := .Values.auth -}}
{{- $what := ternary "password" "token" (eq $owner "kvrocks") -}}
{{- if and $secret.existingSecret (get $secret $what) -}}
{{- fail (printf "auth.%s: give either %s or existingSecret, not both" $owner $what) -}}
{{- end -}}
{{- end -}}
{{- if and (not .Values.auth.kvrocks.enabled) (or .Values.auth.kvrocks.password .Values.auth.kvrocks.existingSecret) -}}
{{- fail "auth.kvrocks: enabled is false, and a password is given; enable it, or leave the password out" -}}
{{- end -}}
{{- if and (not .Values.auth.view.enabled) (or .Values.auth.view.token .Values.auth.view.existingSecret) -}}
{{- fail "auth.view: enabled is false, and a token is given; enable it, or leave the token out" -}}
{{- end -}}
{{- if ne (empty .Values.api.tls.secretName) (empty .Values.api.tls.serverName) -}}
{{- fail "api.tls: secretName and serverName belong together: the Secret with the certificate, and the name in it" -}}
{{- end -}}
{{- if and .Values.replication.gates (not .Values.api.tls.secretName) -}}
{{- fail "replication.gates: it needs api.tls, whose certificate is shown at the gates" -}}
{{- end -}}
{{- if and .Values.replication.tls (not .Values.replication.gates) -}}
{{- fail "replication.tls: it needs replication.gates; in a release that runs, switch them on first, and tls when all pods are replaced" -}}
{{- end -}}
{{- if and .Values.replication.tlsOnly (not .Values.replication.tls) -}}
{{- fail "replication.tlsOnly: it needs replication.tls; in a release that runs, switch that on first, and tlsOnly when all pods are replaced" -}}
{{- end -}}
{{- if not .Values.controller.enabled -}}
{{- if not (or .Values.auth.agent.token .Values.auth.agent.existingSecret) -}}
{{- fail "auth.agent: with controller.enabled false, the token is that of the release with the controller; name its Secret in auth.agent.existingSecret" -}}
{{- end -}}
{{- if and .Values.auth.kvrocks.enabled (not (or .Values.auth.kvrocks.password .Values.auth.kvrocks.existingSecret)) -}}
{{- fail "auth.kvrocks: with controller.enabled false, the password is that of the release with the controller; name its Secret in auth.kvrocks.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "walstitch.checkPolicies" -}}
{{- if and .Values.policies .Values.policiesConfigMap -}}
{{- fail "policies: give either policies or policiesConfigMap, not both" -}}
{{- end -}}
{{- range $name, $text := .Values.policies -}}
{{- if not (regexMatch "^[a-zA-Z0-9][-._a-zA-Z0-9]*\\.ya?ml$" $name) -}}
{{- fail (printf "policies: %s would not be read; the name of a policy file ends in .yaml" $name) -}}
{{- end -}}
{{- $policy := $text | fromYaml -}}
{{- if hasKey $policy "Error" -}}
{{- fail (printf "policies: %s is not YAML: %s" $name $policy.Error) -}}
{{- end -}}
{{- if or (ne (get $policy "kind" | toString) "TolerancePolicy") (ne (get $policy "apiVersion" | toString) "walstitch/v1") -}}
{{- fail (printf "policies: %s is no policy; it begins with apiVersion: walstitch/v1 and kind: TolerancePolicy" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "walstitch.checkController" -}}
{{- $controller := .Values.controller -}}
{{- if and (eq $controller.store "local") (gt (int $controller.replicas) 1) -}}
{{- fail (printf "controller.store: %d controllers cannot share a local store; leave store empty, or take 1 replica" (int $controller.replicas)) -}}
{{- end -}}
{{- if and (not $controller.serviceAccount.create) (not $controller.serviceAccount.name) -}}
{{- fail "controller.serviceAccount: with create false, name the one that is there" -}}
{{- end -}}
{{- $hooks := dict -}}
{{- range $controller.webhooks -}}
{{- if hasKey $hooks .name -}}
{{- fail (printf "controller.webhooks: two of them are named %s" .name) -}}
{{- end -}}
{{- $_ := set $hooks .name true -}}
{{- if eq (empty .url) (empty .urlKey) -}}
{{- fail (printf "controller.webhooks: %s: give either url or urlKey" .name) -}}
{{- end -}}
{{- if and (hasPrefix "http://" (.url | default "")) (not .insecure) -}}
{{- fail (printf "controller.webhooks: %s: over http:// anybody between can read it: use https://, or say insecure: true" .name) -}}
{{- end -}}
{{- end -}}
{{- include "walstitch.checkLabels" (dict "where" "controller.podLabels" "labels" $controller.podLabels) -}}
{{- if $controller.enabled -}}
{{- range (lookup "apps/v1" "Deployment" .Release.Namespace "").items -}}
{{- $labels := .metadata.labels | default dict -}}
{{- if and (eq (get $labels "app.kubernetes.io/name") "walstitch") (eq (get $labels "app.kubernetes.io/component") "controller") (ne (get $labels "app.kubernetes.io/instance") $.Release.Name) -}}
{{- fail (printf "controller: the release %s has one in this namespace already, which takes care of all groups here; set controller.enabled to false, or take another namespace" (get $labels "app.kubernetes.io/instance")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Labels that the chart or the controller sets. Takes where and labels. */}}
{{- define "walstitch.checkLabels" -}}
{{- $where := .where -}}
{{- range $label, $value := .labels -}}
{{- if regexMatch "^(walstitch\\.io/(group|role)|app\\.kubernetes\\.io/(name|instance|component|version|part-of|managed-by)|helm\\.sh/chart)$" $label -}}
{{- fail (printf "%s: %s is set by Walstitch itself; leave it out" $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes root, group (merged) and name (with its prefix). */}}
{{- define "walstitch.checkGroup" -}}
{{- $group := .group -}}
{{- if gt (len .name) 52 -}}
{{- fail (printf "groups: %s: with its prefix it is longer than 52 characters, too long for the names of its Services" .name) -}}
{{- end -}}
{{- if eq .name (include "walstitch.fullname" .root) -}}
{{- fail (printf "groups: %s is also the name of the controller; take another, or set fullnameOverride" .name) -}}
{{- end -}}
{{- if and $group.tls.enabled (not $group.tls.secretName) -}}
{{- fail (printf "groups: %s: tls.enabled needs tls.secretName, the Secret with certificate and key" $group.name) -}}
{{- end -}}
{{- if and .root.Values.controller.sentinel.enabled $group.tls.enabled (not $group.tls.plaintextClients) (not .root.Values.replication.tlsOnly) -}}
{{- fail (printf "groups: %s: controller.sentinel tells clients port 6666, which tls.plaintextClients: false shuts; set that to true, switch on replication.tlsOnly, or leave one of them out" $group.name) -}}
{{- end -}}
{{- include "walstitch.checkLabels" (dict "where" (printf "groups: %s: podLabels" $group.name) "labels" $group.podLabels) -}}
{{- include "walstitch.checkKvrocksConfig" . -}}
{{- include "walstitch.checkVolumes" $group -}}
{{- end -}}

{{- define "walstitch.checkKvrocksConfig" -}}
{{- $group := .group -}}
{{- $names := keys $group.kvrocks.config -}}
{{- range splitList "\n" $group.kvrocks.configText -}}
{{- with regexFind "^[^\\s#]+" (trim .) -}}
{{- $names = append $names (lower .) -}}
{{- end -}}
{{- end -}}
{{- range $names | sortAlpha -}}
{{- if regexMatch "^(bind|port|dir|slaveof|replicaof|requirepass|masterauth|tls-.*|pidfile|log-dir|daemonize|supervised|socket-fd)$" . -}}
{{- fail (printf "groups: %s: kvrocks.config must not set %s: the chart sets it" $group.name .) -}}
{{- end -}}
{{- if eq . "slave-read-only" -}}
{{- fail (printf "groups: %s: kvrocks.config must not set slave-read-only: a replica that takes writes has a history of its own" $group.name) -}}
{{- end -}}
{{- if eq . "cluster-enabled" -}}
{{- fail (printf "groups: %s: kvrocks.config must not set cluster-enabled: in cluster mode, Kvrocks refuses the SLAVEOF by which roles are switched" $group.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a merged group. */}}
{{- define "walstitch.checkVolumes" -}}
{{- include "walstitch.checkSalvage" . -}}
{{- $wal := get .kvrocks.config "rocksdb.wal_size_limit_mb" | default 16384 | int64 -}}
{{- if ge (mul $wal 1048576) (include "walstitch.bytes" .persistence.data.size | int64) -}}
{{- fail (printf "groups: %s: persistence.data.size %s does not even hold the WAL that rocksdb.wal_size_limit_mb keeps, %d MiB; enlarge the one, or lower the other" .name .persistence.data.size $wal) -}}
{{- end -}}
{{- end -}}

{{/*
1. The state volume is full of salvages. 2. A tail cannot be kept. 3. It is not given up then, and its node stays parked.
*/}}
{{- define "walstitch.checkSalvage" -}}
{{- $salvage := .agent.salvage -}}
{{- /* Twice: at less than that an alert warns, and a volume that is as full as it may be shall not. */ -}}
{{- $needed := add (include "walstitch.bytes" $salvage.keepBytes) (mul 2 (include "walstitch.bytes" $salvage.diskFloor)) -}}
{{- if gt $needed (include "walstitch.bytes" .persistence.state.size | int64) -}}
{{- fail (printf "groups: %s: persistence.state.size %s does not hold agent.salvage.keepBytes %v and twice diskFloor %v; enlarge the one, or lower the others" .name .persistence.state.size $salvage.keepBytes $salvage.diskFloor) -}}
{{- end -}}
{{- end -}}

{{/* "4Gi" as a number of bytes. */}}
{{- define "walstitch.bytes" -}}
{{- $text := toString . -}}
{{- if kindIs "float64" . -}}
{{- $text = toString (int64 .) -}}
{{- end -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul (regexFind "^[0-9]+" $text | int64) (get $units (regexFind "[a-zA-Z]*$" $text)) -}}
{{- end -}}
