"""What all tests share: homes with models, servers, and the rule about skips."""

import asyncio
import os
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller
from tests import databases, serving, vllm_engine
from tests.serving import Server

if TYPE_CHECKING:
    from canteen.engines.ray_cluster import Cluster

# What a CI machine may lack. A skip for any other reason fails a run with CI=true.
EXCUSES = ("no GPU", "no hub", "no Maven Central", "no PostgreSQL", "no Chromium")
DEFAULT_MODEL = "smollm2:135m"
MAIN_HOME = Path(__file__).parents[1] / ".cache" / "home"

Serve = Callable[..., Server]

# A machine that others use too may stop a test for as long as it likes.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pull(home: Path, *names: str) -> Path:
    """Pull models into a home, which takes no time for those that are there."""

    async def pull_all() -> None:
        for name in names:
            async for _ in Puller(Catalog(home)).pull(name):
                pass

    asyncio.run(pull_all())
    return home


@pytest.fixture(scope="session")
def model_home() -> Path:
    """A home with the real default models; shared by all runs, so do not write to it."""
    home = Path(os.environ.get("CANTEEN_TEST_HOME", MAIN_HOME))
    return pull(home, DEFAULT_MODEL, "all-minilm")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL; see `databases.emptied`."""
    with databases.postgresql() as url:
        yield url


@pytest.fixture(scope="session")
def vllm_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the vllm engine and no model."""
    return vllm_engine.linked(tmp_path_factory.mktemp("vllm-home"))


@pytest.fixture
def model_home_copy(model_home: Path, tmp_path: Path) -> Path:
    """A home with the real default models that a test may change."""
    return serving.linked_copy(model_home, tmp_path / "model-home")


@pytest.fixture
def echo_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the echo models only, for a test to change as it likes."""
    monkeypatch.setenv("CANTEEN_EMBEDDER", "echo-embed")
    return pull(tmp_path / "echo-home", "echo", "echo-embed")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers of one's own: `serve(home, CANTEEN_MAX_QUEUE="1")`."""
    running: list[Server] = []

    def start(home: Path, **environ: str) -> Server:
        log = tmp_path / f"serve-{len(running)}.log"
        if all(card.name != DEFAULT_MODEL for card in Catalog(home).list()):
            environ = {"CANTEEN_MODEL": "echo", **environ}
        running.append(serving.start(home, log, environ))
        return running[-1]

    yield start
    for server in running:
        serving.end(server)


@pytest.fixture(scope="session")
def model_server(model_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of the real default models for all tests that only ask it."""
    folder = tmp_path_factory.mktemp("model-server")
    home = serving.linked_copy(model_home, folder / "home")
    server = serving.start(home, folder / "serve.log")
    yield server
    serving.end(server)


@pytest.fixture(scope="session")
def echo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of the echo models for all tests that only ask it."""
    folder = tmp_path_factory.mktemp("echo-server")
    home = pull(folder / "home", "echo", "echo-embed")
    server = serving.start(home, folder / "serve.log", {"CANTEEN_MODEL": "echo"})
    yield server
    serving.end(server)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator["Cluster"]:
    """A Ray cluster on this machine, for as long as the tests run; it takes ten seconds."""
    from canteen.engines.ray_cluster import Cluster

    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")

    cluster = Cluster("local")
    with warnings.catch_warnings():
        # What Ray itself uses is for Ray to mend.
        warnings.simplefilter("ignore")
        cluster.connect()
    yield cluster
    asyncio.run(cluster.close())


class SkipsAreFailures:
    """With CI=true a test that could have run must run."""

    def __init__(self) -> None:
        self.unexcused: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not hasattr(report, "wasxfail"):
            self._look(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._look(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexcused and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unexcused:
            terminalreporter.section("skipped without an excuse, which fails this run")
            for line in self.unexcused:
                terminalreporter.line(line)

    def _look(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = str(report.longrepr[2]).removeprefix("Skipped: ")
            if not reason.startswith(EXCUSES):
                self.unexcused.append(f"{report.nodeid}: {reason}")


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        config.pluginmanager.register(SkipsAreFailures())
