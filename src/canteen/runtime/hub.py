"""The Hugging Face hub, as a program that can be killed and goes on where it stopped.

`plan REPO WHICH` prints what is to be downloaded; `fetch PLAN FOLDER` downloads it. Each prints
one line of JSON, or an object with `error` and `code`. huggingface_hub reads its own environment.
"""

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from canteen.core.errors import CanteenError, InvalidRequest, ModelUnsuitable
from canteen.runtime import blobs

# The first that a repository has is taken: preparation makes 8 bits of whatever comes.
FAVOURITES = ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "f16", "bf16")
_BESIDE_WEIGHTS = re.compile(
    r"[^/]+\.(json|txt|model|jinja)|1_Pooling/config\.json|LICENSE|README\.md"
)
_SAFETENSORS = re.compile(r"model(-\d+-of-\d+)?\.safetensors")
_ADAPTER = ["adapter_config.json", "adapter_model.safetensors"]
_IR = re.compile(r"[^/]+\.(xml|bin)")


def choose(names: Iterable[str], which: str) -> list[str]:
    """The files of a repository that make a model; nothing where `which` fits none of them.

    `which` is a file, a quantization such as `Q4_K_M`, or '' for what suits best.
    """
    names = sorted(names)
    if which:
        fitting = [name for name in names if name == which]
        return fitting or _of_quantization(names, which)
    beside = [name for name in names if _BESIDE_WEIGHTS.fullmatch(name)]
    if "openvino_model.xml" in names:
        return [name for name in names if _IR.fullmatch(name)] + beside
    for favourite in FAVOURITES:
        if found := _of_quantization(names, favourite):
            return found
    ggufs = [name for name in names if name.endswith(".gguf")]
    if len(ggufs) == 1:
        return ggufs
    if ggufs:
        raise InvalidRequest(
            f"the repository has several models; say which: {', '.join(ggufs)}", param="model"
        )
    weights = [name for name in names if _SAFETENSORS.fullmatch(name)]
    if weights and "tokenizer.json" in names:
        return [*weights, *beside]
    if set(_ADAPTER) <= set(names):
        return _ADAPTER
    raise ModelUnsuitable(
        "the repository has no file that Canteen runs: a GGUF, openvino_model.xml, "
        "model.safetensors with tokenizer.json, or adapter_model.safetensors"
    )


def _of_quantization(names: list[str], quantization: str) -> list[str]:
    ending = re.compile(rf"(.*[-_.])?{re.escape(quantization)}\.gguf", re.IGNORECASE)
    fitting = [name for name in names if ending.fullmatch(name)]
    return fitting if len(fitting) == 1 else []


def plan(repo: str, which: str) -> dict[str, Any]:
    """What is to be downloaded: `commit`, `license` and `files`, each with name, size and id."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RevisionNotFoundError

    api = HfApi()
    info = api.model_info(repo, files_metadata=True)
    names = choose((file.rfilename for file in info.siblings or ()), which)
    if not names:
        try:
            info = api.model_info(repo, revision=which, files_metadata=True)
        except RevisionNotFoundError:
            raise InvalidRequest(
                f"{repo} has neither a file nor a quantization nor a revision {which}",
                param="model",
            ) from None
        names = choose((file.rfilename for file in info.siblings or ()), "")
    files = {file.rfilename: file for file in info.siblings or ()}
    return {
        "repo": repo,
        "commit": info.sha,
        "license": str(getattr(info.card_data, "license", None) or ""),
        "files": [_file(files[name]) for name in names],
    }


def _file(file: Any) -> dict[str, Any]:
    """`id` is the sha256 of the bytes where the hub knows it, else git's sha1."""
    sha256 = file.lfs.sha256 if file.lfs else ""
    return {"name": file.rfilename, "size": file.size or 0, "id": sha256 or file.blob_id}


def cached_plan(repo: str, which: str) -> dict[str, Any]:
    """The plan without a hub, of what huggingface_hub has in its cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    repos: Iterable[Any] = ()
    with suppress(CacheNotFound):
        repos = scan_cache_dir().repos
    for cached in repos:
        for revision in cached.revisions if cached.repo_id == repo else ():
            files = {
                file.file_path.relative_to(revision.snapshot_path).as_posix(): file
                for file in revision.files
            }
            is_revision = which in (*revision.refs, revision.commit_hash)
            if names := choose(files, "" if is_revision else which):
                rows = [
                    {"name": name, "size": files[name].size_on_disk, "id": ""} for name in names
                ]
                sha = revision.commit_hash
                return {"repo": repo, "commit": sha, "license": "", "files": rows}
    raise InvalidRequest(
        f"{repo} is not in the cache of the hub, and HF_HUB_OFFLINE forbids asking the hub",
        param="model",
    )


def fetch(plan: dict[str, Any], folder: Path) -> None:
    """Have every file of the plan in `folder` under its name, whole and checked."""
    whole = folder / _plain(plan["commit"])
    for file in plan["files"]:
        target = whole / _plain(file["name"])
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = folder / "parts" / hashlib.sha256(_identity(plan, file).encode()).hexdigest()
            part.parent.mkdir(exist_ok=True)
            _bring(plan, file, part)
            _check(file, part)
            part.rename(target)


def _plain(name: str) -> str:
    """A name that stays in its folder; raises ModelUnsuitable for any other, whoever gave it."""
    parts = PurePosixPath(name).parts
    if not parts or "\\" in name or any(part in ("/", "..") for part in parts):
        raise ModelUnsuitable(f"the repository has a file outside its folder: {name!r}")
    return name


def _identity(plan: dict[str, Any], file: dict[str, Any]) -> str:
    return file["id"] or f"{plan['commit']}/{file['name']}"


def _bring(plan: dict[str, Any], file: dict[str, Any], part: Path) -> None:
    """Download into `part` what it has not yet; hf_hub_download would start again."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    where = {"repo_id": plan["repo"], "filename": file["name"], "revision": plan["commit"]}
    cached = try_to_load_from_cache(**where)
    if isinstance(cached, str):
        shutil.copyfile(cached, part)
        return
    url = hf_hub_url(**where)
    metadata = get_hf_file_metadata(url)
    headers = build_hf_headers()
    if _host(metadata.location) != _host(url):
        headers.pop("authorization", None)
    with part.open("ab") as stream:
        http_get(
            metadata.location,
            stream,
            resume_size=stream.tell(),
            headers=headers,
            expected_size=metadata.size,
        )


def _check(file: dict[str, Any], part: Path) -> None:
    """Compare with the hub's id; a file that differs is thrown away."""
    known = file["id"] or ""
    found = known
    if len(known) == hashlib.sha256().digest_size * 2:
        found = blobs.digest_of(part).removeprefix("sha256:")
    elif known:
        header = f"blob {part.stat().st_size}\0".encode()
        found = hashlib.sha1(header + part.read_bytes(), usedforsecurity=False).hexdigest()
    if found != known:
        part.unlink()
        raise CanteenError(
            f"the download of {file['name']} has digest {found} and should have {known}; "
            "it was thrown away; pull again",
            code="digest_mismatch",
        )


def _host(url: str) -> str:
    return url.split("/", 3)[2]


def main(arguments: list[str]) -> dict[str, Any]:
    """The program; returns the line to print."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    verb, what, where = arguments
    try:
        if verb == "plan":
            return cached_plan(what, where) if constants.HF_HUB_OFFLINE else plan(what, where)
        fetch(json.loads(Path(what).read_text()), Path(where))
    except CanteenError as exc:
        return {"error": exc.message, "code": exc.code}
    except GatedRepoError:
        words = "is gated: accept its terms on the hub and set HF_TOKEN, then pull again"
        return {"error": f"the repository {words}", "code": InvalidRequest.code}
    except RepositoryNotFoundError:
        words = "does not exist, or is private: check the name, or set HF_TOKEN"
        return {"error": f"the repository {words}", "code": InvalidRequest.code}
    except OfflineModeIsEnabled:
        words = "HF_HUB_OFFLINE forbids asking the hub, and its cache has not all of the files"
        return {"error": words, "code": InvalidRequest.code}
    return {}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1:])) + "\n")
