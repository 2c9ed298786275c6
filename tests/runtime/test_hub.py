"""The hub: what is chosen, resumed, checked and said, against a stand-in that serves files."""

import asyncio
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from canteen.core.errors import EngineError, InvalidRequest, ModelUnsuitable
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.hub import choose, fetch
from canteen.runtime.pull import Puller
from tests.runtime.conftest import PREPARE, WEIGHTS, Pull, is_whole, statuses
from tests.runtime.hub_server import COMMIT, Hub, serving

ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]


@pytest.mark.parametrize(
    ("names", "which", "chosen"),
    [
        (["m.gguf", "README.md"], "", ["m.gguf"]),
        (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], "", ["m-Q8_0.gguf"]),
        (["m-Q4_K_M.gguf", "m-Q8_0.gguf"], "q4_k_m", ["m-Q4_K_M.gguf"]),
        (["q/m.gguf", "m.gguf"], "q/m.gguf", ["q/m.gguf"]),
        (["m.gguf"], "main", []),
        (
            ["openvino_model.xml", "openvino_model.bin", "config.json", "x/y.json"],
            "",
            ["openvino_model.bin", "openvino_model.xml", "config.json"],
        ),
        (["model.safetensors", "tokenizer.json"], "", ["model.safetensors", "tokenizer.json"]),
        (["tokenizer.json", "README.md", *ADAPTER], "", ADAPTER),
    ],
)
def test_the_files_of_a_model_are_chosen(names: list[str], which: str, chosen: list[str]) -> None:
    assert choose(names, which) == chosen


def test_a_choice_that_is_the_users_is_left_to_the_user() -> None:
    with pytest.raises(InvalidRequest, match=r"say which: a\.gguf, b\.gguf"):
        choose(["a.gguf", "b.gguf"], "")
    with pytest.raises(ModelUnsuitable, match="no file that Canteen runs"):
        choose(["pytorch_model.bin"], "")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_gguf: Path) -> Hub:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    repos = {
        "org/gguf": {
            "tiny-Q8_0.gguf": tiny_gguf.read_bytes(),
            "tiny-Q4_K_M.gguf": WEIGHTS,
            "README.md": b"# read me",
        },
        "org/minilm": {
            "model.safetensors": WEIGHTS,
            "tokenizer.json": b"{}",
            "config.json": b'{"x": 1}',
            "1_Pooling/config.json": b"{}",
            "onnx/model.onnx": WEIGHTS[:4096],
        },
        "org/none": {"notes.txt": b"nothing here"},
    }
    return Hub(repos)


async def test_the_hub_gives_the_best_gguf(
    catalog: Catalog, pull: Pull, hub: Hub, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        steps = await pull("hf:org/gguf", over_http=True)

    card = catalog.get("org/gguf")
    assert card.digest == blobs.digest_of(tiny_gguf)
    assert card.license == "mit"
    assert f"pulling {card.digest[7:19]}" in statuses(steps)
    assert not any("harness" in path for _, path, _ in hub.requests)
    agents = {headers["user-agent"] for _, _, headers in hub.requests}
    assert not any("torch/" in agent or "session" in agent for agent in agents)


@pytest.mark.parametrize("which", ["Q4_K_M", "tiny-Q4_K_M.gguf"])
async def test_the_hub_gives_the_file_that_is_named(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        await pull(f"hf:org/gguf:{which}", "m")

    assert catalog.blob_path(catalog.get("m").digest).read_bytes() == WEIGHTS


async def test_the_hub_gives_a_folder_of_a_revision(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        await pull(f"hf:org/minilm:{COMMIT}", "m")

    folder = catalog.blob_path(catalog.get("m").digest)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"model.safetensors", "tokenizer.json", "config.json", "1_Pooling/config.json"}


async def test_a_download_that_broke_off_goes_on_where_it_stopped(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = bytes(range(256)) * 120_000
    hub.repos = {"org/gguf": {"m.gguf": big}}
    hub.cut_after_bytes = 12_000_000
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        async with aclosing(Puller(catalog, PREPARE).pull("hf:org/gguf", "m")) as steps:
            async for progress in steps:
                if progress.completed >= hub.cut_after_bytes // 2:
                    break
        hub.cut_after_bytes = 0
        num_before = len(hub.ranges())
        await pull("hf:org/gguf", "m")

    assert len(hub.ranges()) > num_before
    assert all(start.startswith("bytes=") for start in hub.ranges()[num_before:])
    assert is_whole(catalog, catalog.get("m"))


async def test_what_is_in_the_store_is_not_downloaded_again(
    catalog: Catalog, pull: Pull, hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pull(f"file:{weights}")
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        await pull("hf:org/gguf:Q4_K_M", "m")

    assert hub.ranges() == []


async def test_false_bytes_of_the_hub_are_thrown_away(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.is_false = True
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(EngineError, match="thrown away") as caught:
            await pull("hf:org/gguf:Q4_K_M", "m")
        hub.is_false = False
        await pull("hf:org/gguf:Q4_K_M", "m")

    assert caught.value.code == "digest_mismatch"
    assert is_whole(catalog, catalog.get("m"))


@pytest.mark.parametrize("name", ["../x.gguf", "/x.gguf", "a/../../x.gguf", "..\\x.gguf", ""])
def test_a_file_name_of_the_hub_cannot_leave_its_folder(tmp_path: Path, name: str) -> None:
    plan = {"repo": "org/x", "commit": "c", "files": [{"name": name, "size": 1, "id": ""}]}

    with pytest.raises(ModelUnsuitable, match="outside its folder"):
        fetch(plan, tmp_path / "downloads")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("hf:org/absent", "does not exist, or is private"),
        ("hf:org/gguf:v9", "neither a file nor a quantization nor a revision"),
        ("hf:org/none", "no file that Canteen runs"),
        ("hf:org/minilm", "is gated"),
    ],
)
async def test_what_the_hub_refuses_is_said_plainly(
    pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch, source: str, words: str
) -> None:
    hub.gated = "org/minilm"
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(InvalidRequest, match=words):
            await pull(source)


async def test_the_token_opens_a_gated_repository(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated = "org/minilm"
    monkeypatch.setenv("HF_TOKEN", "secret")
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        await pull("hf:org/minilm", "m")

    assert is_whole(catalog, catalog.get("m"))
    shown = {path for _, path, headers in hub.requests if "authorization" in headers}
    assert shown
    assert not any(path.startswith("/cdn/") for path in shown)


async def test_offline_nothing_is_asked(
    pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(InvalidRequest, match="HF_HUB_OFFLINE"):
            await pull("hf:org/gguf", "m")

    assert hub.requests == []


async def test_offline_the_cache_of_the_hub_is_used(
    catalog: Catalog, pull: Pull, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = "import huggingface_hub as h; h.hf_hub_download('org/gguf', 'tiny-Q4_K_M.gguf')"
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", download], check=True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    await pull("hf:org/gguf", "m")

    assert catalog.blob_path(catalog.get("m").digest).read_bytes() == WEIGHTS
