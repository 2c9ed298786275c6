"""The Helm chart, rendered by Helm and held against the schemas of Kubernetes."""

import subprocess
from typing import Any

import pytest

from canteen.metering.metrics import Metrics
from canteen.settings import Settings
from tests.deploy import chart, tools
from tests.deploy.series import families, named

if not tools.HELM.exists():
    pytest.skip("Helm is not there; make deploy-tools brings it", allow_module_level=True)

EVERYTHING: dict[str, Any] = {
    "weights": {"existingClaim": "weights"},
    "state": {"existingClaim": "state"},
    "database": {"existingSecret": "database"},
    "settings": {"CANTEEN_MODEL": "smollm2:135m"},
    "secretSettings": [{"variable": "CANTEEN_TOKEN", "secret": "token", "key": "value"}],
    "gpus": 1,
    "nodeSelector": {"pool": "gpu"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "networkPolicy": {"egress": [{"to": [{"podSelector": {}}], "ports": [{"port": 5432}]}]},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboard": {"enabled": True},
    "keda": {"enabled": True},
    "inferencePool": {"enabled": True, "gateway": "llm"},
}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "all": EVERYTHING,
    "pulled": {"weights": {"pull": ["smollm2:135m", "all-minilm"]}},
    "image": {"weights": {"image": "registry.test/weights:1"}},
}


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return chart.render({})


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    return chart.render(EVERYTHING)


def pod(objects: dict[str, Any]) -> Any:
    return objects["Deployment"]["spec"]["template"]["spec"]


def environ(objects: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in pod(objects)["containers"][0]["env"]}


def test_helm_finds_nothing_wrong() -> None:
    assert "0 chart(s) failed" in chart.lint()


@pytest.mark.parametrize("way", WAYS)
def test_kubernetes_takes_what_is_rendered(way: str) -> None:
    objects = [one for one in chart.render(WAYS[way]).values() if chart.is_own(one)]

    assert len(objects) >= 4
    assert {one["kind"]: chart.faults(one) for one in objects} == {
        one["kind"]: [] for one in objects
    }


def test_the_schemas_refuse_a_field_that_is_spelt_wrong(plain: dict[str, Any]) -> None:
    budget = plain["PodDisruptionBudget"]

    assert chart.faults({**budget, "spec": {**budget["spec"], "maxUnavailabel": 1}})


def test_a_value_that_is_spelt_wrong_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        chart.render({"replica": 3})


def test_each_probe_asks_its_own_question(plain: dict[str, Any]) -> None:
    container = pod(plain)["containers"][0]

    asked = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }

    assert asked == {
        "startup": {"path": "/health/startup", "port": "http"},
        "liveness": {"path": "/health/live", "port": "http"},
        "readiness": {"path": "/health/ready", "port": "http"},
    }
    assert container["ports"] == [{"name": "http", "containerPort": 11434}]


def test_the_start_may_take_as_long_as_the_slowest_load() -> None:
    probe = pod(chart.render({"times": {"startupSeconds": 1234}}))["containers"][0]["startupProbe"]

    assert probe["failureThreshold"] * probe["periodSeconds"] >= 1234


def test_a_pod_is_given_more_time_to_end_than_the_longest_answer_takes() -> None:
    times = {"longestGenerationSeconds": 1800, "drainDelaySeconds": 7}

    objects = chart.render({"times": times})

    told = Settings.from_env(environ(objects))
    assert told.request_timeout_s == 1800
    assert told.drain_timeout_s >= told.request_timeout_s
    grace_s = pod(objects)["terminationGracePeriodSeconds"]
    assert grace_s > told.drain_delay_s + told.drain_timeout_s


def test_one_pod_at_a_time_may_be_taken_away(plain: dict[str, Any]) -> None:
    budget = plain["PodDisruptionBudget"]["spec"]

    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == plain["Deployment"]["spec"]["selector"]
    assert plain["Deployment"]["spec"]["replicas"] == 2


def test_a_release_takes_no_capacity_away_but_where_devices_are_scarce(
    plain: dict[str, Any], whole: dict[str, Any]
) -> None:
    def rolling(objects: dict[str, Any]) -> Any:
        return objects["Deployment"]["spec"]["strategy"]["rollingUpdate"]

    assert rolling(plain) == {"maxSurge": 1, "maxUnavailable": 0}
    assert rolling(whole) == {"maxSurge": 0, "maxUnavailable": 1}


def test_it_runs_as_nobody_and_writes_only_where_it_must(whole: dict[str, Any]) -> None:
    container = pod(whole)["containers"][0]

    assert pod(whole)["securityContext"]["runAsNonRoot"] is True
    assert pod(whole)["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    written = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert written == {"/var/lib/canteen", "/tmp"}


def test_nothing_is_fetched_at_the_start_unless_that_is_asked_for(plain: dict[str, Any]) -> None:
    pulled = pod(chart.render(WAYS["pulled"]))

    assert pod(plain)["containers"][0]["args"] == ["serve", "--no-pull"]
    assert "initContainers" not in pod(plain)
    assert [one["args"] for one in pulled["initContainers"]] == [
        ["pull", "smollm2:135m"],
        ["pull", "all-minilm"],
    ]


def test_every_name_of_the_service_is_a_host_that_is_answered(plain: dict[str, Any]) -> None:
    hosts = environ(plain)["CANTEEN_ALLOWED_HOSTS"].split(",")

    name = plain["Service"]["metadata"]["name"]
    assert hosts == [name, f"{name}.llm", f"{name}.llm.svc", f"{name}.llm.svc.cluster.local"]


def test_callers_need_a_key_unless_it_is_said_that_they_do_not(plain: dict[str, Any]) -> None:
    guarded = Settings.from_env(environ(plain))
    unguarded = Settings.from_env(environ(chart.render({"keys": "off"})))

    assert (guarded.keys, guarded.allow_remote) == ("on", False)
    assert (unguarded.keys, unguarded.allow_remote) == ("off", True)


def test_no_secret_is_in_the_environment(whole: dict[str, Any]) -> None:
    files = {name: path for name, path in environ(whole).items() if name.endswith("_FILE")}

    mounts = {one["mountPath"] for one in pod(whole)["containers"][0]["volumeMounts"]}
    assert set(files) == {"CANTEEN_DATABASE_URL_FILE", "CANTEEN_TOKEN_FILE"}
    assert {path.rpartition("/")[0] for path in files.values()} <= mounts


def test_only_callers_and_scrapers_get_in_and_only_names_get_out(plain: dict[str, Any]) -> None:
    policy = plain["NetworkPolicy"]["spec"]

    assert policy["podSelector"] == plain["Deployment"]["spec"]["selector"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [rule["ports"] for rule in policy["ingress"]] == [
        [{"port": "http", "protocol": "TCP"}]
    ] * 2
    assert [port["port"] for rule in policy["egress"] for port in rule["ports"]] == [53, 53]


def test_keda_scales_on_who_waits(whole: dict[str, Any]) -> None:
    scaled = whole["ScaledObject"]

    (trigger,) = scaled["spec"]["triggers"]
    assert scaled["apiVersion"] == "keda.sh/v1alpha1"
    assert scaled["spec"]["scaleTargetRef"]["name"] == whole["Deployment"]["metadata"]["name"]
    assert trigger["type"] == "prometheus"
    assert named(trigger["metadata"]["query"]) == {"vllm:num_requests_waiting"}
    assert named(trigger["metadata"]["query"]) <= families(Metrics().text().decode())
    # Else Helm would set back what KEDA has scaled.
    assert "replicas" not in whole["Deployment"]["spec"]


def test_prometheus_finds_the_port(whole: dict[str, Any]) -> None:
    monitor = whole["ServiceMonitor"]["spec"]

    labels = whole["Service"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    (endpoint,) = monitor["endpoints"]
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert whole["Service"]["spec"]["ports"][0]["name"] == endpoint["port"]


def test_alerts_and_dashboard_are_in_the_chart(whole: dict[str, Any]) -> None:
    assert whole["PrometheusRule"]["spec"]["groups"][0]["name"] == "canteen"
    assert whole["ConfigMap"]["data"]["canteen.json"].startswith("{")


def test_the_pool_has_the_pods_and_their_port(whole: dict[str, Any]) -> None:
    pool = whole["InferencePool"]

    assert pool["apiVersion"] == "inference.networking.k8s.io/v1"
    assert pool["spec"]["selector"] == whole["Deployment"]["spec"]["selector"]
    assert pool["spec"]["targetPorts"] == [{"number": 11434}]
    assert pool["spec"]["endpointPickerRef"]["name"] == "canteen-epp"
    (backend,) = whole["HTTPRoute"]["spec"]["rules"][0]["backendRefs"]
    assert (backend["kind"], backend["name"]) == ("InferencePool", pool["metadata"]["name"])
