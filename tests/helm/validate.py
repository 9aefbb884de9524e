"""Validates rendered charts: against the schemas of Kubernetes, strictly, and against what those cannot know.

    validate.py FILE…

The oldest Kubernetes that the chart takes, and the newest that the schemas know. Beyond the schemas: that what a pod
names is there (volumes, ports, ConfigMaps and their keys, Secrets, service accounts), that every container is as
confined as it can be, that no secret is in a place where it could be read, and that what is YAML within YAML is YAML.
"""

import base64
import json
import sys

import kubernetes_validate
import yaml

VERSIONS = ("1.29", kubernetes_validate.latest_version())

# What a value file says is there already.
EXISTING = {
    ("Secret", "shop-tls"), ("Secret", "cart-tls"), ("Secret", "kvrocks"), ("Secret", "walstitch-tokens"),
    ("Secret", "cart-kvrocks"), ("Secret", "walstitch-secrets"), ("Secret", "walstitch-tls"),
    ("Secret", "pager-webhook"), ("Secret", "audit-webhook"), ("ConfigMap", "our-policies"),
    ("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "failover"), ("PersistentVolumeClaim", "decisions"),
}


# Of others: no schema of Kubernetes knows them.
OTHERS = {"PrometheusRule", "PodMonitor"}


class Checker:
    def __init__(self, path):
        self.path = path
        with open(path, encoding="utf-8") as file:
            self.documents = [document for document in yaml.safe_load_all(file) if document]
        self.objects = {}
        self.problems = []

    def complain(self, document, sentence):
        self.problems.append(f"{self.path}: {document['kind']} {document['metadata']['name']}: {sentence}")

    def run(self):
        for document in self.documents:
            key = (document["kind"], document["metadata"]["name"])
            if key in self.objects:
                self.complain(document, "is there twice")
            self.objects[key] = document
        for document in self.documents:
            if document["kind"] not in OTHERS:
                self.check_schema(document)
            if document["kind"] == "CustomResourceDefinition":
                continue
            if document["metadata"].get("namespace", "walstitch") != "walstitch":
                self.complain(document, "is in another namespace")
            if document["kind"] == "ConfigMap":
                self.check_config_map(document)
            if document["kind"] == "PodMonitor":
                self.check_pod_monitor(document)
            template = document.get("spec", {}).get("template")
            if template:
                self.check_pod(document, template)
        return self.problems

    def check_schema(self, document):
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(str(step) for step in error.path)
                self.complain(document, f"Kubernetes {version}: {where}: {error.message}")
            except kubernetes_validate.SchemaNotFoundError as error:
                self.complain(document, f"Kubernetes {version}: {error.message}")

    def check_config_map(self, document):
        for name, text in document["data"].items():
            if name.endswith(".yaml"):
                try:
                    yaml.safe_load(text)
                except yaml.YAMLError as error:
                    self.complain(document, f"{name}: {error}")
            elif name.endswith(".json"):
                try:
                    json.loads(text)
                except ValueError as error:
                    self.complain(document, f"{name}: {error}")

    def check_pod_monitor(self, document):
        ports = {
            port["name"]
            for other in self.documents
            for container in self.containers(other) for port in container.get("ports", [])
        }
        for endpoint in document["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] not in ports:
                self.complain(document, f"names port {endpoint['port']}, which no pod has")
            token = endpoint["authorization"]["credentials"]
            self.exists(document, "Secret", token["name"], [token["key"]])

    @staticmethod
    def containers(document):
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        return pod.get("initContainers", []) + pod.get("containers", [])

    def exists(self, document, kind, name, keys=()):
        if (kind, name) in EXISTING:
            return
        found = self.objects.get((kind, name))
        if not found:
            self.complain(document, f"names {kind} {name}, which is not there")
            return
        for key in keys:
            if key not in found["data"]:
                self.complain(document, f"names {key} of {kind} {name}, which is not in it")

    def check_volume(self, document, volume):
        sources = volume.get("projected", {}).get("sources", [volume])
        for source in sources:
            for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
                if field in source:
                    name = source[field].get("name") or source[field].get("secretName")
                    self.exists(document, kind, name, [item["key"] for item in source[field].get("items", [])])
        if "persistentVolumeClaim" in volume:
            self.exists(document, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])

    def check_pod(self, document, template):
        pod = template["spec"]
        for label, value in document["spec"]["selector"]["matchLabels"].items():
            if template["metadata"]["labels"].get(label) != value:
                self.complain(document, f"selects {label}, which its pods do not have")
        if pod.get("automountServiceAccountToken") is not False:
            self.complain(document, "mounts a token of the API server by default")
        if "serviceAccountName" in pod:
            self.exists(document, "ServiceAccount", pod["serviceAccountName"])
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        for volume in volumes.values():
            self.check_volume(document, volume)
        claims = {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        used = set()
        for container in pod.get("initContainers", []) + pod["containers"]:
            self.check_container(document, container)
            for mount in container.get("volumeMounts", []):
                used.add(mount["name"])
                if mount["name"] not in volumes and mount["name"] not in claims:
                    self.complain(document, f"{container['name']} mounts {mount['name']}, which is not there")
                elif "subPath" in mount:
                    self.exists(document, "ConfigMap", volumes[mount["name"]]["configMap"]["name"], [mount["subPath"]])
        for name in (set(volumes) | claims) - used:
            self.complain(document, f"nobody mounts {name}")

    def check_container(self, document, container):
        name = container["name"]
        security = container.get("securityContext", {})
        wanted = {
            "runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        }
        for field, value in wanted.items():
            if security.get(field) != value:
                self.complain(document, f"{name}: securityContext.{field} is not {value}")
        ports = {port["name"] for port in container.get("ports", [])}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for action in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(action, {}).get("port")
                if isinstance(port, str) and port not in ports:
                    self.complain(document, f"{name}: {probe} asks port {port}, which is not there")
        shown = container.get("command", []) + container.get("args", [])
        shown += [variable.get("value", "") for variable in container.get("env", [])]
        for secret in self.secrets():
            if any(secret in text for text in shown):
                self.complain(document, f"{name}: a secret is in its arguments or environment")

    def secrets(self):
        for (kind, _), secret in self.objects.items():
            if kind == "Secret":
                for value in secret["data"].values():
                    yield base64.b64decode(value).decode()


def main(paths):
    problems = [problem for path in paths for problem in Checker(path).run()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
