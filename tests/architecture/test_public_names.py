"""The face of the package."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import canteen

ROOT = Path(__file__).parents[2]


def test_the_face_is_a_few_names() -> None:
    assert sorted(canteen.__all__) == ["Client", "LLM", "__version__"]


def test_every_name_of_the_face_is_there() -> None:
    assert all(getattr(canteen, name) for name in canteen.__all__)


def test_the_version_is_the_distribution_s() -> None:
    assert canteen.__version__ == version("canteen-llm")


def test_every_requirement_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().split()}
    wanted = [*project["dependencies"]]
    for needed in project["optional-dependencies"].values():
        wanted += needed

    assert [one for one in wanted if _name(one) not in pins] == []


def _name(requirement: str) -> str:
    name = requirement.split(";")[0].split(">=")[0].split("==")[0].split("[")[0]
    return name.strip().lower().replace(".", "-").replace("_", "-")
