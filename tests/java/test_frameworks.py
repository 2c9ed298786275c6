"""The same calls by openai-java, LangChain4j and Spring AI, where Maven Central can be reached."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving import Server

POM = Path(__file__).parents[2] / "examples" / "java-frameworks" / "pom.xml"
MAVEN = shutil.which("mvn")
# Whoever can get this one can get the others.
PROBE = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>dev.langchain4j</groupId>
    <artifactId>langchain4j-parent</artifactId>
    <version>1.19.0</version>
    <relativePath/>
  </parent>
  <artifactId>probe</artifactId>
</project>
"""
PROBE_WITHIN_S = 60


@pytest.fixture(scope="module")
def maven(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Maven, if it gets what the build needs."""
    if MAVEN is None:
        pytest.skip("no Maven Central: mvn is not installed")
    pom = tmp_path_factory.mktemp("probe") / "pom.xml"
    pom.write_text(PROBE)
    probe = [MAVEN, "--batch-mode", "--update-snapshots", "--file", str(pom), "validate"]
    try:
        found = subprocess.run(probe, capture_output=True, check=False, timeout=PROBE_WITHIN_S)
    except subprocess.TimeoutExpired:
        pytest.skip("no Maven Central: it does not answer")
    if found.returncode != 0:
        pytest.skip("no Maven Central: it cannot be reached from here")
    return MAVEN


@pytest.mark.timeout(900)
def test_three_libraries_work_with_a_running_service(maven: str, echo_server: Server) -> None:
    told = {"url": echo_server.url, "model": "echo", "embedder": "echo-embed"}
    options = [f"-Dcanteen.{name}={value}" for name, value in told.items()]

    done = subprocess.run(
        [maven, "--batch-mode", "--fail-at-end", "--file", str(POM), "test", *options],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
