"""The Helm chart as a cluster would get it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml

from tests.deploy import tools

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "canteen"

Object = dict[str, Any]


def render(values: Object, namespace: str = "llm") -> dict[str, Object]:
    """The objects of a release `canteen` by kind, each there once; raises CalledProcessError."""
    done = subprocess.run(
        [tools.HELM, "template", "canteen", CHART, "--namespace", namespace, "--values", "-"],
        input=json.dumps(values).encode(),
        capture_output=True,
        check=True,
    )
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    by_kind = {one["kind"]: one for one in objects}
    assert len(by_kind) == len(objects)
    return by_kind


def lint() -> str:
    """What Helm says of the chart; raises CalledProcessError where something is wrong."""
    done = subprocess.run(
        [tools.HELM, "lint", "--strict", CHART], capture_output=True, check=True, text=True
    )
    return done.stdout


def faults(one: Object) -> list[str]:
    """What Kubernetes would refuse of an object of its own; unknown fields too."""
    group, _, version = one["apiVersion"].rpartition("/")
    parts = [one["kind"].lower(), *([group.split(".")[0]] if group else []), version]
    schema = json.loads((tools.SCHEMAS / f"{'-'.join(parts)}.json").read_text())
    validator = jsonschema_rs.validator_for(schema, retriever=_schema)
    return [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(one)]


def is_own(one: Object) -> bool:
    """Whether a kind is Kubernetes' own, and not an extension's."""
    group = str(one["apiVersion"]).rpartition("/")[0]
    return "." not in group or group == "networking.k8s.io"


def _schema(uri: str) -> Any:
    return json.loads((tools.SCHEMAS / uri.rpartition("/")[2]).read_text())
