"""The catalog: names, manifests, blobs, and what is collected when."""

import hashlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound, StorageFull
from canteen.core.model import ModelCard
from canteen.core.moments import now
from canteen.runtime import locks
from canteen.runtime.catalog import Catalog


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def stored(catalog: Catalog, name: str, data: bytes = b"weights") -> ModelCard:
    digest = digest_of(data)
    folder = catalog.prepared(digest, 1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(data)
    catalog.blob_path(digest).parent.mkdir(parents=True, exist_ok=True)
    catalog.blob_path(digest).write_bytes(data)
    card = ModelCard(
        name=name,
        kind="generator",
        digest=digest,
        engine="openvino",
        folder=folder.relative_to(catalog.home).as_posix(),
        source="file:x",
        format="gguf",
        architecture="llama",
        num_parameters=1,
        context_length=8,
        size_bytes=len(data),
        quantization="Q8_0",
        modified_at=now(),
        parameters={"temperature": 0.5, "stop": ["\n"]},
        messages=({"role": "user", "content": "hé"},),
    )
    catalog.put(card)
    return catalog.get(name)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def test_an_empty_home_has_no_models(catalog: Catalog) -> None:
    assert catalog.list() == []


def test_a_card_comes_back_as_it_was_put(catalog: Catalog) -> None:
    card = stored(catalog, "a:1")

    assert catalog.get("a:1") == card
    assert catalog.list() == [card]
    assert catalog.path(card).is_dir()


def test_a_name_without_a_tag_means_latest(catalog: Catalog) -> None:
    stored(catalog, "a")

    assert catalog.get("a").name == "a:latest"


def test_an_unknown_name_is_not_found(catalog: Catalog) -> None:
    with pytest.raises(ModelNotFound, match="model 'b:latest' not found"):
        catalog.get("b")
    with pytest.raises(ModelNotFound):
        catalog.remove("b")


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../b", "/etc/passwd", "a:../b", "a\0b", ".x", "", "a:b:c", "aé:1", "x" * 999],
)
def test_a_name_cannot_leave_the_store(catalog: Catalog, name: str) -> None:
    for use in (catalog.get, catalog.remove, lambda bad: catalog.copy("a", bad)):
        with pytest.raises(InvalidRequest):
            use(name)


def test_names_that_look_like_each_others_files_do_not_meet(catalog: Catalog) -> None:
    names = ["a:b", "a/b.json:latest", "a/b:c", "a:latest"]

    for name in names:
        stored(catalog, name)

    assert {card.name for card in catalog.list()} == set(names)


def test_a_copy_keeps_the_files_when_the_original_goes(catalog: Catalog) -> None:
    card = stored(catalog, "a")

    catalog.copy("a", "llama2")
    catalog.remove("a")

    assert [kept.name for kept in catalog.list()] == ["llama2:latest"]
    assert catalog.has_blob(card.digest)
    assert catalog.path(card).is_dir()


def test_the_last_name_takes_the_files_with_it(catalog: Catalog) -> None:
    card = stored(catalog, "a")
    other = stored(catalog, "b", b"other weights")

    catalog.remove("a")

    assert not catalog.has_blob(card.digest)
    assert not catalog.path(card).exists()
    assert catalog.has_blob(other.digest)


def test_a_name_that_is_put_anew_lets_go_of_its_old_files(catalog: Catalog) -> None:
    old = stored(catalog, "a", b"old")
    new = stored(catalog, "a", b"new")

    assert not catalog.has_blob(old.digest)
    assert catalog.has_blob(new.digest)


def made_here(catalog: Catalog, name: str, data: bytes = b"learned") -> ModelCard:
    catalog.put(replace(stored(catalog, name, data), source="job:job_1"))
    return catalog.get(name)


def test_what_was_made_here_is_kept_when_its_last_name_is_given_away(catalog: Catalog) -> None:
    mine, other = made_here(catalog, "mine"), stored(catalog, "other")

    kept_as = catalog.put(replace(other, name="mine"))

    assert catalog.get("mine").digest == other.digest
    assert kept_as.startswith("mine:latest-before-")
    assert replace(catalog.get(kept_as), name="mine:latest") == mine
    assert catalog.has_blob(mine.digest)
    assert catalog.path(mine).is_dir()


def test_copies_and_derived_models_keep_what_was_made_here_too(catalog: Catalog) -> None:
    first, second = made_here(catalog, "mine"), made_here(catalog, "ours", b"learned too")
    stored(catalog, "other")

    kept = [catalog.copy("other", "mine"), catalog.derive("other", "ours", system="Arr.")]

    assert [catalog.get(name).digest for name in kept] == [first.digest, second.digest]


def test_what_was_made_here_gets_no_other_name_while_it_has_one(catalog: Catalog) -> None:
    mine, other = made_here(catalog, "mine"), stored(catalog, "other")
    catalog.copy("mine", "prod")

    kept = [catalog.put(replace(other, name="prod")), catalog.derive("mine", "mine", system="Arr.")]

    assert kept == ["", ""]
    assert [card.name for card in catalog.list()] == ["mine:latest", "other:latest", "prod:latest"]
    assert catalog.has_blob(mine.digest)


def test_a_model_that_is_copied_to_its_own_name_stays_as_it_is(catalog: Catalog) -> None:
    card = stored(catalog, "a")

    catalog.copy("a", "a:latest")

    assert catalog.list() == [card]


def test_a_full_disk_leaves_what_was_made_here_its_name(catalog: Catalog) -> None:
    mine = made_here(catalog, "mine")
    catalog.put(replace(stored(catalog, "other"), system="x" * 60_000))
    files = set(catalog.home.rglob("*"))

    said = on_a_small_disk(catalog, "catalog.copy('other', 'mine')")

    assert said == "full\n"
    assert catalog.get("mine") == mine
    assert set(catalog.home.rglob("*")) == files


def test_files_that_a_pull_works_on_are_not_collected(catalog: Catalog) -> None:
    card = stored(catalog, "a")

    with locks.try_locked(catalog.lock_path(card.digest)):
        catalog.remove("a")

    assert catalog.has_blob(card.digest)


def test_nothing_is_collected_while_a_manifest_cannot_be_read(catalog: Catalog) -> None:
    card = stored(catalog, "a")
    stored(catalog, "b")
    (catalog.home / "models/manifests/b/latest.json").write_text("{")

    catalog.remove("a")

    assert catalog.has_blob(card.digest)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema": 1}', '{"schema": 99}', "\xff", '{"schema":1,"x":2}']
)
def test_a_damaged_manifest_is_named_and_left_out(
    catalog: Catalog, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    good = stored(catalog, "good")
    stored(catalog, "bad", b"bad")
    (catalog.home / "models/manifests/bad/latest.json").write_bytes(text.encode("latin-1"))

    with caplog.at_level(logging.WARNING):
        assert catalog.list() == [good]

    assert "damaged" in caplog.text
    with pytest.raises(EngineError, match="canteen pull bad:latest"):
        catalog.get("bad")
    catalog.remove("bad")
    with pytest.raises(ModelNotFound):
        catalog.get("bad")


def test_a_derived_model_shares_files_and_adds_defaults(catalog: Catalog) -> None:
    base = stored(catalog, "a")

    catalog.derive("a", "pirate", system="Arr.", parameters={"temperature": 0.1})

    card = catalog.get("pirate")
    assert (card.system, card.parent, card.folder) == ("Arr.", "a:latest", base.folder)
    assert card.parameters == {"temperature": 0.1, "stop": ["\n"]}
    with pytest.raises(InvalidRequest, match="other digest"):
        catalog.derive("a", "b", digest="x")


async def test_a_blob_is_stored_when_its_digest_is_right(catalog: Catalog) -> None:
    digest = digest_of(b"hello world")

    await catalog.add_blob(digest, pieces(b"hello ", b"world"))

    assert catalog.has_blob(digest)
    assert catalog.blob_path(digest).read_bytes() == b"hello world"


async def test_a_blob_with_another_digest_leaves_nothing(catalog: Catalog) -> None:
    digest = digest_of(b"hello world")

    with pytest.raises(InvalidRequest, match="send them again"):
        await catalog.add_blob(digest, pieces(b"goodbye"))

    assert not catalog.has_blob(digest)
    assert list((catalog.home / "models/uploads").iterdir()) == []


async def test_a_blob_larger_than_the_disk_is_refused_before_a_byte_is_taken(
    catalog: Catalog,
) -> None:
    untouched = pieces(b"x")

    with pytest.raises(StorageFull, match="make room"):
        await catalog.add_blob(digest_of(b"x"), untouched, size_bytes=1 << 60)

    assert [piece async for piece in untouched] == [b"x"]
    assert list((catalog.home / "models/uploads").iterdir()) == []


SMALL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from canteen.core.errors import StorageFull
from canteen.runtime.catalog import Catalog

async def pieces():
    for _ in range(100):
        yield b"0" * 1000

catalog = Catalog(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    {work}
except StorageFull:
    print("full")
"""


def on_a_small_disk(catalog: Catalog, work: str) -> str:
    """What is said of it by a process that may write no file of more than 50 kB."""
    command = [sys.executable, "-c", SMALL_DISK.format(work=work), str(catalog.home)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_a_blob_that_fills_the_disk_leaves_nothing(catalog: Catalog) -> None:
    said = on_a_small_disk(catalog, "asyncio.run(catalog.add_blob('sha256:' + '0' * 64, pieces()))")

    assert said == "full\n"
    assert not [path for path in catalog.home.rglob("*") if path.is_file()]


def test_a_card_that_fills_the_disk_leaves_the_old_one(catalog: Catalog) -> None:
    before = stored(catalog, "a")
    files = set(catalog.home.rglob("*"))

    said = on_a_small_disk(catalog, "catalog.derive('a', 'a', system='x' * 60_000)")

    assert said == "full\n"
    assert catalog.get("a") == before
    assert set(catalog.home.rglob("*")) == files


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../x", "sha256:" + "A" * 64, "md5:0"])
async def test_a_digest_that_is_none_is_refused(catalog: Catalog, digest: str) -> None:
    with pytest.raises(InvalidRequest, match="hexadecimal"):
        catalog.has_blob(digest)
    with pytest.raises(InvalidRequest):
        await catalog.add_blob(digest, pieces(b""))


def test_concurrent_puts_and_removes_leave_a_valid_store(catalog: Catalog) -> None:
    card = stored(catalog, "keeper")

    def work(worker: int) -> None:
        for turn in range(10):
            catalog.put(replace(card, name=f"m{worker}:{turn % 3}"))
            catalog.copy("keeper", f"c{worker}")
            assert catalog.get("keeper") == card
            catalog.remove(f"m{worker}:{turn % 3}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert {c.name for c in catalog.list()} == {
        "keeper:latest",
        *(f"c{n}:latest" for n in range(4)),
    }
    assert catalog.has_blob(card.digest)


def test_tidying_removes_scraps_and_keeps_what_can_be_resumed(catalog: Catalog) -> None:
    card = stored(catalog, "a")
    scraps = [
        catalog.home / "models/manifests/a/.fresh-1-x.json",
        catalog.home / "models/uploads/tmp1",
        catalog.home / "models/blobs/.doomed-1-x",
        catalog.partial(card.digest) / "out",
    ]
    staging = catalog.staging("hf:a/b") / "wheel"
    for path in (*scraps, staging):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    catalog.tidy()

    assert not any(path.exists() for path in scraps)
    assert staging.exists()
    assert catalog.has_blob(card.digest)


def test_tidying_collects_orphans_of_yesterday_only(catalog: Catalog) -> None:
    blobs = catalog.home / "models/blobs"
    blobs.mkdir(parents=True)
    old, fresh = blobs / ("sha256-" + "0" * 64), blobs / ("sha256-" + "1" * 64)
    old.touch()
    fresh.touch()
    two_days_ago_s = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago_s, two_days_ago_s))

    catalog.tidy()

    assert not old.exists()
    assert fresh.exists()


def test_a_manifest_is_plain_json(catalog: Catalog) -> None:
    stored(catalog, "org/a:1")

    manifest = json.loads((catalog.home / "models/manifests/org%2Fa/1.json").read_text())

    assert manifest["schema"] == 1
    assert manifest["name"] == "org/a:1"


def test_a_name_is_moved_and_what_it_held_is_kept_with_its_files(catalog: Catalog) -> None:
    old, new = stored(catalog, "prod:1", b"old"), stored(catalog, "next:1", b"new")

    catalog.move("prod:1", new, before=old, keep_as="prod:1-before-x")

    assert catalog.get("prod:1").digest == new.digest
    assert replace(catalog.get("prod:1-before-x"), name="prod:1") == old
    assert catalog.path(old).is_dir()
    assert catalog.has_blob(old.digest)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_name_that_was_changed_meanwhile_is_not_moved(catalog: Catalog, is_there: bool) -> None:
    new, seen = stored(catalog, "next:1", b"new"), None
    if is_there:
        seen = stored(catalog, "prod:1", b"old")
    other = stored(catalog, "prod:1", b"other")

    with pytest.raises(InvalidRequest, match="changed by somebody else"):
        catalog.move("prod:1", new, before=seen, keep_as="prod:1-before-x")

    assert [card.name for card in catalog.list()] == ["next:1", "prod:1"]
    assert catalog.get("prod:1") == other


def test_a_name_is_not_moved_to_a_model_that_was_removed_meanwhile(catalog: Catalog) -> None:
    old, new = stored(catalog, "prod:1", b"old"), stored(catalog, "next:1", b"new")
    catalog.remove("next:1")

    with pytest.raises(InvalidRequest, match="'next:1' was removed meanwhile"):
        catalog.move("prod:1", new, before=old, keep_as="prod:1-before-x")

    assert catalog.list() == [old]


def test_a_move_that_fills_the_disk_leaves_all_names_as_they_were(catalog: Catalog) -> None:
    old = stored(catalog, "prod:1", b"old")
    catalog.put(replace(stored(catalog, "next:1", b"new"), system="x" * 60_000))
    files = set(catalog.home.rglob("*"))
    card = "catalog.get('next:1'), before=catalog.get('prod:1'), keep_as='prod:1-before-x'"

    said = on_a_small_disk(catalog, f"catalog.move('prod:1', {card})")

    assert said == "full\n"
    assert catalog.get("prod:1") == old
    assert set(catalog.home.rglob("*")) == files
