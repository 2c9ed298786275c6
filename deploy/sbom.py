"""The bill of materials, as CycloneDX: the program, every library it has, and the models.

`python -m deploy.sbom` prints it for what is installed here and for the store in CANTEEN_HOME.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from canteen.core.model import ModelCard
from canteen.runtime.catalog import Catalog
from canteen.settings import Settings

PROGRAM = "canteen-llm"
# What runs beside the base where it is installed; what only checks need is no material.
EXTRAS = ("", "bench", "llamacpp", "nvidia", "otel", "postgres", "ray", "train")


def bill(home: Path) -> Bom:
    """The bill of this installation with the models of a store."""
    program = _library(distribution(PROGRAM), ComponentType.APPLICATION)
    bom = Bom()
    bom.metadata.component = program
    libraries = {name: _library(one) for name, one in sorted(_needed(PROGRAM).items())}
    models = [_model(card) for card in _weights(home)]
    for component in (*libraries.values(), *models):
        bom.components.add(component)
    bom.register_dependency(program, [*libraries.values(), *models])
    return bom


def _needed(root: str) -> dict[str, Distribution]:
    """Every distribution that `root` needs, directly or not, and that is installed."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(root, EXTRAS)]
    while waiting:
        name, extras = waiting.pop()
        for needed in _requirements(name, extras):
            known = _plain(needed.name)
            if known in found or known == root:
                continue
            try:
                found[known] = distribution(needed.name)
            except PackageNotFoundError:
                continue
            waiting.append((needed.name, ("", *needed.extras)))
    return found


def _requirements(name: str, extras: Iterable[str]) -> Iterator[Requirement]:
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        if needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in extras):
            yield needed


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _library(one: Distribution, kind: ComponentType = ComponentType.LIBRARY) -> Component:
    name, told = _plain(one.name), one.metadata.json
    stated = str(told.get("license_expression") or told.get("license") or "").partition("\n")[0]
    url = PackageURL("pypi", None, name, one.version)
    return Component(
        type=kind,
        name=name,
        version=one.version,
        purl=url,
        bom_ref=str(url),
        licenses=_licences(stated),
    )


def _licences(stated: str) -> list[License]:
    if not stated:
        return []
    made = LicenseFactory().make_from_string(
        stated, license_acknowledgement=LicenseAcknowledgement.DECLARED
    )
    return [made]


def _weights(home: Path) -> list[ModelCard]:
    """The models that have weights, each once, whatever other names it has."""
    return list({card.digest: card for card in Catalog(home).list() if card.size_bytes}.values())


def _model(card: ModelCard) -> Component:
    told = {
        "source": card.source,
        "architecture": card.architecture,
        "format": card.format,
        "quantization": card.quantization,
        "engine": card.engine,
        "parameters": str(card.num_parameters),
    }
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=card.name,
        version=card.digest,
        bom_ref=card.digest,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=card.digest.removeprefix("sha256:"))],
        licenses=_licences(card.license),
        properties=[Property(name=f"canteen:{name}", value=text) for name, text in told.items()],
    )


if __name__ == "__main__":
    sys.stdout.write(JsonV1Dot6(bill(Settings.from_env().home)).output_as_string(indent=1))
