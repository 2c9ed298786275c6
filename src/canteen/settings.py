"""The only reader of the environment: every setting, its meaning and its default.

A setting is what an option says, else the environment, else the file that CANTEEN_CONFIG names,
else the default.
"""

import dataclasses
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from canteen.core.errors import InvalidRequest

PREFIX = "CANTEEN_"
# A setting's text may stand in a file of its own, as secrets do.
IN_FILE = "_FILE"
_PAIR = re.compile(r"\w+=\S+")
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):.*@")

Source = Literal["default", "file", "environment"]


def _setting(
    variable: str, meaning: str, default: Any, parse: Callable[[str], Any], **more: Any
) -> Any:
    """A field; `more` may have `also`, another name of the variable, and `is_secret`."""
    told = {"variable": variable, "meaning": meaning, "parse": parse, **more}
    return field(default=default, metadata=told)


def _flag(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def _node(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{0,128}", text):
        raise ValueError("up to 128 printable ASCII characters without spaces")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _pairs(text: str) -> tuple[str, ...]:
    words = _words(text)
    if not all(_PAIR.fullmatch(word) for word in words):
        raise ValueError("NAME=VALUE, comma-separated")
    return words


def _vllm(text: str) -> tuple[str, ...]:
    pairs = _pairs(text)
    if pairs:
        # Most settings are read where no engine is wanted.
        from canteen.engines import vllm_config
    for pair in pairs:
        vllm_config.option(*pair.split("=", 1))
    return pairs


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.strip().isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    return _amount(text, "a number of seconds, 0 or more")


def _finite(what: str) -> Callable[[str], float]:
    def parse(text: str) -> float:
        expected = f"a number of {what}, 0 or more"
        value = _amount(text, expected)
        if math.isinf(value):
            raise ValueError(expected)
        return value

    return parse


_gigabytes, _dollars, _watts = _finite("GB"), _finite("US dollars"), _finite("watts")


def _amount(text: str, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(expected) from None
    if math.isnan(value) or value < 0:
        raise ValueError(expected)
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"{', '.join(words[:-1])} or {words[-1]}")
        return text.lower()

    return parse


def _log_level(text: str) -> str:
    if text.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise ValueError("DEBUG, INFO, WARNING or ERROR")
    return text.upper()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a Canteen is told from outside. Sizes and times carry their unit in the name."""

    home: Path = _setting(
        "CANTEEN_HOME",
        "folder of models, indexes and the database",
        Path.home() / ".canteen",
        lambda text: Path(text).expanduser().absolute(),
    )
    host: str = _setting("CANTEEN_HOST", "address to listen on", "127.0.0.1", str)
    port: int = _setting(
        "CANTEEN_PORT", "port to listen on; 0 takes a free one", 11434, _whole(0, 65535)
    )
    http_processes: int = _setting(
        "CANTEEN_HTTP_PROCESSES",
        "processes that speak HTTP; with 2 or more they only translate, beside one that answers",
        1,
        _whole(1, 64),
    )
    allow_remote: bool = _setting(
        "CANTEEN_ALLOW_REMOTE", "allow an address beyond loopback without keys", False, _flag
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "CANTEEN_ALLOWED_HOSTS",
        "Host names to answer besides loopback's, comma-separated",
        (),
        _words,
    )
    allowed_origins: tuple[str, ...] = _setting(
        "CANTEEN_ORIGINS", "web origins allowed to call, comma-separated", (), _words
    )
    keys: Literal["auto", "on", "off"] = _setting(
        "CANTEEN_KEYS",
        "whether calls need an API key: auto (once there ever was one), on or off",
        "auto",
        _one_of("auto", "on", "off"),
    )
    open_metrics: bool = _setting(
        "CANTEEN_OPEN_METRICS", "answer /metrics without a key too", False, _flag
    )
    jwks_url: str = _setting(
        "CANTEEN_JWKS_URL", "where the keys of those who sign tokens (JWT) are published", "", str
    )
    jwt_issuer: str = _setting("CANTEEN_JWT_ISSUER", "who signs tokens, as `iss`", "", str)
    jwt_audience: str = _setting("CANTEEN_JWT_AUDIENCE", "who tokens are for, as `aud`", "", str)
    jwt_scopes_claim: str = _setting(
        "CANTEEN_JWT_SCOPES_CLAIM", "the claim of a token that has its scopes", "scope", str
    )
    jwt_limits: tuple[str, ...] = _setting(
        "CANTEEN_JWT_LIMITS",
        "what each subject of tokens may have, as limits of keys: tokens_per_day=100000,…",
        (),
        _pairs,
    )
    default_model: str = _setting(
        "CANTEEN_MODEL", "the model that is served and run by default", "smollm2:135m", str
    )
    default_embedder: str = _setting(
        "CANTEEN_EMBEDDER", "the embedding model of tasks and search indexes", "all-minilm", str
    )
    engine: Literal["auto", "openvino", "llamacpp", "vllm"] = _setting(
        "CANTEEN_ENGINE",
        "what runs models: auto (by file and machine); openvino or llamacpp, for GGUF files; "
        "vllm, for safetensors alone",
        "auto",
        _one_of("auto", "openvino", "llamacpp", "vllm"),
    )
    max_num_seqs: int = _setting(
        "CANTEEN_MAX_NUM_SEQS",
        "sequences a model decodes at once; 1 guesses ahead from the prompt",
        32,
        _whole(1, 1024),
    )
    max_queue: int = _setting(
        "CANTEEN_MAX_QUEUE", "requests that may wait for a model", 256, _whole(0, 100_000)
    )
    max_queue_tokens: int = _setting(
        "CANTEEN_MAX_QUEUE_TOKENS",
        "tokens of prompts and answers that may wait for a model",
        1_000_000,
        _whole(1, 1 << 40),
    )
    max_queue_s: float = _setting(
        "CANTEEN_MAX_QUEUE_S", "longest predicted wait for a model, seconds", 300.0, _seconds
    )
    request_timeout_s: float = _setting(
        "CANTEEN_REQUEST_TIMEOUT_S",
        "seconds any request may take, whatever deadline its caller gives",
        3600.0,
        _seconds,
    )
    max_batched_tokens: int = _setting(
        "CANTEEN_MAX_BATCHED_TOKENS", "tokens of one engine step", 256, _whole(32, 65536)
    )
    kv_cache_gb: int = _setting(
        "CANTEEN_KV_CACHE_GB", "memory for a model's KV cache, GB", 1, _whole(1, 1024)
    )
    vllm: tuple[str, ...] = _setting(
        "CANTEEN_VLLM",
        "what vLLM is told besides, comma-separated: tensor_parallel_size=2, quantization=fp8",
        (),
        _vllm,
    )
    memory_gb: float = _setting(
        "CANTEEN_MEMORY_GB",
        "memory for all models together, GB; 0 is 80 % of the machine's",
        0.0,
        _gigabytes,
    )
    max_tokens: int = _setting(
        "CANTEEN_MAX_TOKENS",
        "tokens of an answer whose caller sets no limit; 0 is what the context holds",
        0,
        _whole(0, 1 << 20),
    )
    num_threads: int = _setting(
        "CANTEEN_NUM_THREADS", "threads of an engine; 0 lets it choose", 0, _whole(0, 1024)
    )
    keep_alive_s: float = _setting(
        "CANTEEN_KEEP_ALIVE_S", "seconds an idle model stays loaded", 300.0, _seconds
    )
    ray: str = _setting(
        "CANTEEN_RAY",
        "Ray cluster that runs the models: HOST:PORT, or local for one on this machine",
        "",
        str,
    )
    ray_min_replicas: int = _setting(
        "CANTEEN_RAY_MIN_REPLICAS", "replicas that a model on Ray has at least", 1, _whole(1, 1000)
    )
    ray_max_replicas: int = _setting(
        "CANTEEN_RAY_MAX_REPLICAS", "replicas that it may have when many wait", 8, _whole(1, 1000)
    )
    drain_delay_s: float = _setting(
        "CANTEEN_DRAIN_DELAY_S", "seconds of accepting after SIGTERM", 0.0, _seconds
    )
    drain_timeout_s: float = _setting(
        "CANTEEN_DRAIN_TIMEOUT_S", "seconds running answers may take after SIGTERM", 120.0, _seconds
    )
    max_body_bytes: int = _setting(
        "CANTEEN_MAX_BODY_BYTES", "largest request body, bytes", 32 << 20, _whole(1024, 1 << 40)
    )
    node: str = _setting(
        "CANTEEN_NODE", "name of this node on receipts; without one, its host's name", "", _node
    )
    region: str = _setting(
        "CANTEEN_REGION",
        "cloud region or country (DEU) of this machine, for water and carbon",
        "",
        str,
    )
    provider: str = _setting(
        "CANTEEN_PROVIDER", "who runs the building: aws, google, microsoft, own", "", str
    )
    instance: str = _setting(
        "CANTEEN_INSTANCE", "the rented machine this is, for its price: g5.48xlarge", "", str
    )
    price_usd_per_h: float = _setting(
        "CANTEEN_PRICE_USD_PER_H",
        "what this machine costs an hour; 0 takes the table's",
        0.0,
        _dollars,
    )
    electricity_usd_per_kwh: float = _setting(
        "CANTEEN_ELECTRICITY_USD_PER_KWH",
        "price of electricity, for a machine of one's own; 0 assumes one",
        0.0,
        _dollars,
    )
    power_w: float = _setting(
        "CANTEEN_POWER_W",
        "what this machine draws at its plug, where no counter can be read; 0 models it",
        0.0,
        _watts,
    )
    database: str = _setting(
        "CANTEEN_DATABASE",
        "URL of the database; without one, canteen.db in CANTEEN_HOME",
        "",
        str,
        also="CANTEEN_DATABASE_URL",
        is_secret=True,
    )
    api_key: str = _setting(
        "CANTEEN_API_KEY", "the key that commands show a running service", "", str, is_secret=True
    )
    log_level: str = _setting(
        "CANTEEN_LOG_LEVEL", "DEBUG, INFO, WARNING or ERROR", "INFO", _log_level
    )

    webhook_secret: str = _setting(
        "CANTEEN_WEBHOOK_SECRET",
        "signs webhooks of jobs: whsec_ and 24 to 64 random bytes in base64; without one there "
        "are none",
        "",
        str,
        is_secret=True,
    )
    webhook_hosts: tuple[str, ...] = _setting(
        "CANTEEN_WEBHOOK_HOSTS", "hosts that webhooks may be sent to, comma-separated", (), _words
    )
    broker: str = _setting(
        "CANTEEN_BROKER",
        "URL of the database whose table canteen_messages carries commands and replies: "
        "postgresql://USER:PASSWORD@HOST/NAME; without one there are none",
        "",
        str,
        is_secret=True,
    )
    broker_channel: str = _setting(
        "CANTEEN_BROKER_CHANNEL", "the channel of commands", "canteen.commands", str
    )
    broker_key: str = _setting(
        "CANTEEN_BROKER_KEY",
        "the key on whose account messages are answered, where calls need keys",
        "",
        str,
        is_secret=True,
    )
    audit: bool = _setting(
        "CANTEEN_AUDIT",
        "record who asked for what, in a chain of hashes in CANTEEN_HOME/audit",
        False,
        _flag,
    )
    audit_file_mb: int = _setting(
        "CANTEEN_AUDIT_FILE_MB",
        "megabytes at which the audit begins another file; 0 for never",
        256,
        _whole(0, 1_000_000),
    )
    otlp_endpoint: str = _setting(
        "CANTEEN_OTLP_ENDPOINT",
        "collector of traces and metrics, http://HOST:4318; without one none are sent",
        "",
        str,
        also="OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    config: str = _setting(
        "CANTEEN_CONFIG", "TOML file of settings that the environment does not have", "", str
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment and its file; raises InvalidRequest naming the variable and what
        it expects."""
        return cls(**{name: value for name, (value, _) in told(environ).items()})


def told(environ: Mapping[str, str] = os.environ) -> dict[str, tuple[Any, Source]]:
    """What each setting is told to be, by its field's name, and where; raises InvalidRequest."""
    path = environ.get("CANTEEN_CONFIG", "")
    sources: list[tuple[Source, Mapping[str, str]]] = [("environment", environ)]
    if path:
        sources.append(("file", _file(Path(path))))
    found: dict[str, tuple[Any, Source]] = {}
    for one in dataclasses.fields(Settings):
        found[one.name] = (one.default, "default")
        for source, texts in reversed(sources):
            text = _text(one, texts)
            if text:
                found[one.name] = (_parsed(one, text), source)
    return found


def shown(one: "dataclasses.Field[Any]", value: Any) -> str:
    """A setting's value as people may see it: of a secret, that there is one."""
    if isinstance(value, tuple):
        return ", ".join(value)
    if not one.metadata.get("is_secret") or not value:
        return str(value)
    masked = _PASSWORD.sub(r"\1:***@", str(value))
    return masked if "://" in masked else "***"


def strange(texts: Mapping[str, str] = os.environ) -> list[str]:
    """Variables that are named as settings are, and are none."""
    known = {name for one in dataclasses.fields(Settings) for name in _names(one)}
    known |= {name + IN_FILE for name in known}
    return sorted(name for name in texts if name.startswith(PREFIX) and name not in known)


def _names(one: "dataclasses.Field[Any]") -> list[str]:
    return [name for name in (one.metadata["variable"], one.metadata.get("also")) if name]


def _text(one: "dataclasses.Field[Any]", texts: Mapping[str, str]) -> str:
    """What a source says of a setting, itself or in a file that it names; nothing if nothing."""
    said = {name: texts[name] for name in _names(one) if texts.get(name)}
    paths = {name: texts[name + IN_FILE] for name in _names(one) if texts.get(name + IN_FILE)}
    if len(said) + len(paths) > 1:
        both = " and ".join([*said, *(name + IN_FILE for name in paths)])
        raise InvalidRequest(f"{both} are both set; set one of them", param=both)
    for name, path in paths.items():
        said[name] = _read(name + IN_FILE, Path(path)).strip()
    return "".join(said.values())


def _parsed(one: "dataclasses.Field[Any]", text: str) -> Any:
    variable = one.metadata["variable"]
    try:
        return one.metadata["parse"](text)
    except ValueError as exc:
        said = "" if one.metadata.get("is_secret") else f"is {text!r} and "
        raise InvalidRequest(f"{variable} {said}must be {exc}", param=variable) from exc


def _file(path: Path) -> dict[str, str]:
    """A file's settings as the environment would have them."""
    try:
        said = tomllib.loads(_read("CANTEEN_CONFIG", path))
    except tomllib.TOMLDecodeError as exc:
        message = f"CANTEEN_CONFIG must name a TOML file: {exc}"
        raise InvalidRequest(message, param="CANTEEN_CONFIG") from exc
    texts = {PREFIX + key.upper(): _plain(key, value) for key, value in said.items()}
    if unknown := strange(texts):
        key = unknown[0].removeprefix(PREFIX).lower()
        message = f"CANTEEN_CONFIG has {key!r}, which is no setting; see canteen settings"
        raise InvalidRequest(message, param="CANTEEN_CONFIG")
    return texts


def _plain(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_plain(key, one) for one in value)
    if isinstance(value, dict):
        message = f"CANTEEN_CONFIG has a table {key!r}; settings are KEY = VALUE, one a line"
        raise InvalidRequest(message, param="CANTEEN_CONFIG")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(variable: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        message = f"{variable} names a file that cannot be read: {reason}"
        raise InvalidRequest(message, param=variable) from exc


def variable(name: str, environ: Mapping[str, str] = os.environ) -> str:
    """What a variable says that somebody else named, as where an upstream's key is; else empty."""
    return environ.get(name, "").strip()
