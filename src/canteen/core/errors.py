"""Every error a user can meet, in one tree.

CanteenError
├── InvalidRequest          change the request            400
│   ├── ContextTooLong      a prompt that does not fit    400
│   ├── ModelNotFound       no such name                  404
│   ├── PromptNotFound      no such prompt or task        404
│   ├── IndexNotFound       no such search index          404
│   ├── ClassifierNotFound  no such classifier            404
│   ├── JobNotFound         no such job                   404
│   ├── Unauthorized        who calls is not known        401
│   ├── Forbidden           not allowed here              403
│   ├── KeyNotFound         no such API key               404
│   ├── NotSupported        this model cannot do it       501
│   └── ModelUnsuitable     files we cannot run           400
├── DeadlineExceeded        the caller's time is over     408
├── Overloaded              wait `retry_after_s`          503
│   └── RateLimited         this caller wants too much    429
│       └── BudgetSpent     and waiting is of little use  429
└── EngineError             our fault                     500
    ├── StorageFull         the disk has no room          507
    ├── WorkerDied          the model's process ended     500
    ├── UpstreamFailed      somebody else's fault         502
    └── InvalidOutput       the answer broke its promise  500
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class CanteenError(Exception):
    """Base of all; `code` is a stable machine-readable word."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidRequest(CanteenError):
    """The caller must change the request; `param` names the field."""

    code = "invalid_request"

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.param = param


class ContextTooLong(InvalidRequest):
    """The prompt (and what is to follow) does not fit the context.

    `is_at_least`: the prompt was so long that its tokens were not counted to the end.
    """

    code = "context_length_exceeded"

    def __init__(
        self, prompt_tokens: int, context_length: int, *, is_at_least: bool = False
    ) -> None:
        count = f"at least {prompt_tokens}" if is_at_least else f"{prompt_tokens}"
        super().__init__(
            f"the prompt has {count} tokens and the context holds {context_length} "
            "(the answer needs at least one of them); shorten the prompt or ask for truncation",
            param="messages",
        )
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length
        self.is_at_least = is_at_least


class ModelNotFound(InvalidRequest):
    """No model of that name is in the store; `hint` says where there are others."""

    code = "model_not_found"

    def __init__(self, model: str, hint: str = "") -> None:
        said = f"model '{model}' not found"
        super().__init__(f"{said}; {hint}" if hint else said, param="model")
        self.model = model


class PromptNotFound(InvalidRequest):
    """No prompt, or no version of it, goes by this name; those near it are told."""

    code = "prompt_not_found"

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        hint = _near(name, known) or "`canteen prompt ls` shows what there is"
        super().__init__(f"prompt '{name}' not found; {hint}", param="name")


class ClassifierNotFound(InvalidRequest):
    """No classifier goes by this name; those near it are told."""

    code = "classifier_not_found"

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        hint = _near(name, known) or "GET /v1/classifiers shows what there is"
        super().__init__(f"classifier '{name}' not found; {hint}", param="classifier")


def _near(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known)
    return f"near it: {', '.join(near)}" if near else ""


class IndexNotFound(InvalidRequest):
    """No search index goes by this name; those near it are told."""

    code = "index_not_found"

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:3]
        hint = f"did you mean {_or(near)}?" if near else "there is none yet; add documents to one"
        super().__init__(f"index '{name}' not found; {hint}", param="index")


class JobNotFound(InvalidRequest):
    """No job goes by this id, or more than one does."""

    code = "job_not_found"

    def __init__(self, job_id: str, num_found: int = 0) -> None:
        which = f"{num_found} jobs begin with '{job_id}'" if num_found else f"no job '{job_id}'"
        super().__init__(f"{which}; `canteen jobs list` shows all", param="job")


class Unauthorized(InvalidRequest):
    """The caller has shown no key, or none that is good."""

    code = "invalid_api_key"


class KeyNotFound(InvalidRequest):
    """No API key goes by this id."""

    code = "key_not_found"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"no key '{key_id}'; `canteen keys list` shows all", param="id")


class Forbidden(InvalidRequest):
    """The request is understood and not allowed from here."""

    code = "forbidden"


class NotSupported(InvalidRequest):
    """This model, engine or installation cannot do what was asked."""

    code = "not_supported"


class ModelUnsuitable(InvalidRequest):
    """The files are readable, but no installed engine runs them."""

    code = "model_unsuitable"


class Overloaded(CanteenError):
    """No capacity now; the caller should wait `retry_after_s` seconds.

    `code` is one of `overloaded`, `model_loading`, `draining`, `too_many_connections`; of an
    upstream, `upstream_busy`, `upstream_unavailable`, `circuit_open`.
    """

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """The caller holds more than its share of a full queue; others are still served."""

    code = "rate_limit_exceeded"


class BudgetSpent(RateLimited):
    """The caller has had what it may have in a day or a month, or wants more than it ever may."""

    code = "insufficient_quota"


class DeadlineExceeded(CanteenError):
    """The time that the caller gave is over; what was under way for it has been stopped."""

    code = "deadline_exceeded"

    def __init__(self, message: str = "the deadline passed before the answer was whole") -> None:
        super().__init__(f"{message}; give it more time, or ask for less")


class EngineError(CanteenError):
    """The engine failed; nothing the caller did."""

    code = "engine_error"


class StorageFull(EngineError):
    """The disk has no room for what is to be kept; nothing of it was."""

    code = "disk_full"


class WorkerDied(EngineError):
    """The process that held the model ended; the request is lost, the service goes on."""

    code = "worker_died"


class UpstreamFailed(EngineError):
    """A service that was asked on the caller's behalf failed.

    `code` is one of `upstream_failed`, `upstream_unreachable`, `upstream_silent`, `upstream_cut`,
    `upstream_garbage`, `upstream_refused`. `base_url` is where it was asked, which who runs the
    service is told and callers over HTTP are not.
    """

    code = "upstream_failed"
    base_url = ""


class InvalidOutput(EngineError):
    """The completion does not satisfy the schema it was promised to satisfy."""

    code = "invalid_output"


def _or(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)
