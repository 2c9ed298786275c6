"""llama.cpp's server in this process: loaded, asked, and kept from everybody else."""

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from canteen.core.errors import CanteenError, EngineError, InvalidRequest
from canteen.engines.chat_template import applied

Body = Mapping[str, Any]
# Takes a piece of an answer; True ends it.
Hear = Callable[[dict[str, Any]], bool]
ANSWER_WITHIN_S = 60.0
# Read when the library is loaded. Threads that wait for each other without rest slow down all that
# runs beside them; and a process that has aborted is to end, not to be looked at by a debugger.
ENVIRON = {"OMP_WAIT_POLICY": "PASSIVE", "GGML_NO_BACKTRACE": "1"}


@dataclass(frozen=True, slots=True)
class Loading:
    """What is loaded, and how: `context_length` is of all sequences together, a batch is of tokens,
    `num_threads` 0 is one for each processor we may use. For other purposes than writing each
    text is read in one batch."""

    model: Path
    adapters: Sequence[Path] = ()
    context_length: int = 4096
    max_num_seqs: int = 1
    batch_length: int = 256
    num_threads: int = 0
    num_gpu_layers: int = 0
    purpose: Literal["writing", "embedding", "ranking"] = "writing"


class LlamaServer:
    """One loaded model. Its calls block and let other threads run.

    The library opens a listener on loopback that anybody on the machine could ask: a random key
    locks it. We are its only guest, for what the library gives no function for.
    """

    def __init__(self, loading: Loading) -> None:
        for name, value in ENVIRON.items():
            os.environ.setdefault(name, value)
        import xllamacpp

        key = secrets.token_urlsafe(32)
        params = _params(loading)
        params.api_keys = [key]
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as exc:
            raise EngineError(
                "llama.cpp cannot load this model: its architecture may be too new for the "
                "installed version (pip install --upgrade xllamacpp), or memory too small"
            ) from exc
        self._address = urlsplit(self._server.listening_address)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    def stream(self, body: Body, hear: Hear) -> None:
        """Complete a prompt; `hear` is told each piece, in this thread, until it returns True."""
        self._server.handle_completions({**body, "stream": True}, hear)

    def complete(self, body: Body) -> dict[str, Any]:
        """Complete a prompt at once; raises InvalidRequest and EngineError."""
        return _checked(self._server.handle_completions(dict(body)))

    def embed(self, texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """A vector for each text of token ids, as the model's own pooling makes it."""
        told = _checked(self._server.handle_embeddings({"input": [list(one) for one in texts]}))
        rows = sorted(told["data"], key=lambda one: int(one["index"]))
        return [list(row["embedding"]) for row in rows]

    def rank(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers a query, as the model's own head tells it: a logit."""
        told = _checked(self._server.handle_rerank({"query": query, "documents": list(texts)}))
        rows = sorted(told["results"], key=lambda one: int(one["index"]))
        return [float(row["relevance_score"]) for row in rows]

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        ids: list[int] = self._ask("/tokenize", {"content": text, "add_special": False})["tokens"]
        return ids

    def marked(self, text: str) -> list[int]:
        """The token ids of a text between the marks that this model has around one."""
        ids: list[int] = self._ask("/tokenize", {"content": text, "add_special": True})["tokens"]
        return ids

    def are_whole(self, text: str) -> bool:
        """Whether every token of a text is of whole characters."""
        body = {"content": text, "add_special": False, "with_pieces": True}
        # What is no text comes as bytes.
        return all(isinstance(one["piece"], str) for one in self._ask("/tokenize", body)["tokens"])

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of tokens, those that steer the model too."""
        return str(self._ask("/detokenize", {"tokens": list(token_ids)})["content"])

    def _ask(self, path: str, body: Body) -> dict[str, Any]:
        # A new connection each time: the listener closes idle ones when it likes.
        connection = HTTPConnection(
            str(self._address.hostname), self._address.port, timeout=ANSWER_WITHIN_S
        )
        try:
            connection.request("POST", path, json.dumps(body), self._headers)
            return _checked(json.load(connection.getresponse()))
        except (OSError, HTTPException, ValueError) as exc:
            raise EngineError("llama.cpp does not answer; the model is loaded again") from exc
        finally:
            connection.close()


class LlamaTokenizer:
    """A Tokenizer over a server, for a model whose sequences have such marks."""

    def __init__(self, server: LlamaServer, bos_id: int | None, eos_ids: Iterable[int]) -> None:
        self.encode = server.encode
        self._marks = {
            "bos_token": "" if bos_id is None else server.decode([bos_id]),
            "eos_token": server.decode(list(eos_ids)[:1]),
        }

    def apply(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        template: str,
    ) -> str:
        """See Tokenizer."""
        told = {"messages": messages, "tools": tools, "add_generation_prompt": True}
        return applied(template, told | self._marks)


def error_of(told: Mapping[str, Any]) -> CanteenError:
    """What llama.cpp says went wrong, in our words."""
    if told.get("code") == 400:
        return InvalidRequest("llama.cpp refuses this combination of parameters")
    return EngineError("llama.cpp could not compute this request; try again")


def _checked(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or "error" in told or "code" in told:
        raise error_of(told.get("error", told) if isinstance(told, dict) else {})
    return told


def _params(loading: Loading) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(loading.model)
    params.lora_adapters = [
        xllamacpp.CommonAdapterLoraInfo(str(path), 1.0) for path in loading.adapters
    ]
    params.n_ctx = loading.context_length
    params.n_parallel = loading.max_num_seqs
    # One cache for all: a sequence may be as long as the context while others are short.
    params.kv_unified = True
    # It aborts where a batch has no room for a token of each sequence.
    params.n_batch = params.n_ubatch = max(loading.batch_length, loading.max_num_seqs)
    params.n_gpu_layers = loading.num_gpu_layers
    params.embedding = loading.purpose != "writing"
    if loading.purpose == "ranking":
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
    # By default it would take 8 GB of memory to remember prompts in, and fit itself to what it
    # finds; both are planned.
    params.cache_ram_mib = 0
    params.fit_params = False
    params.ui = params.endpoint_slots = False
    params.verbosity = 0
    # Its own count is of the whole machine; more threads than processors wait for each other.
    num_threads = loading.num_threads or _num_usable_threads()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = num_threads
    return params


def _num_usable_threads() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
