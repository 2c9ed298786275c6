"""What a plan can be asked for: each field with its meaning and its limits, for every door."""

import dataclasses
import datetime
import re
from dataclasses import dataclass

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest

_COUNT = re.compile(r"(\d+(?:\.\d+)?(?:[eE]\+?\d+)?)\s*([kKmMbBtT]?)")
_SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
MOST_TOKENS = 10**16
MOST = 10**6


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """One question. It is of training where `train_tokens` or `finetune` is given, else of serving.

    Raises InvalidRequest, which names the field, for what nobody can plan.
    """

    model: str = asked("Name of a model, or a count of parameters such as 7B.", "")
    quantization: str | None = asked(
        "Type of the weights, such as bf16, fp8, int8, Q4_K_M; or that of the file, or bf16."
    )
    kv_cache: str = asked("Type of the KV cache, such as f16, q8_0, q4_0.", "f16")
    context_length: int | None = asked(
        "Tokens that each sequence may hold; or 4096, or the model's where it holds less.",
        least=1,
        most=MOST_TOKENS,
        flag="--context",
    )
    num_sequences: int = asked(
        "Sequences at once; in training, those of a device.",
        1,
        least=1,
        most=MOST,
        flag="--sequences",
    )
    device: str | None = asked("Device by name, such as H100; or this host.")
    num_devices: int | None = asked(
        "Devices together; or all of the instance, or 1.", least=1, most=MOST, flag="--devices"
    )
    instance: str | None = asked("Rented machine by name, such as g5.48xlarge.")
    region: str | None = asked("Region or country, for prices, water and carbon.")
    provider: str | None = asked("Cloud provider, for PUE and water; or that of the instance.")
    as_of: str | None = asked("Day whose prices hold, as YYYY-MM-DD; or today.")
    price_usd_per_h: float | None = asked(
        "Price of all devices an hour, in place of the table's.", least=1e-6, most=10**9
    )
    hardware_usd: float | None = asked(
        "What the devices with their server cost to buy, where they are one's own.",
        least=0,
        most=10**12,
    )
    electricity_usd_per_kwh: float | None = asked(
        "Price of electricity for hardware of one's own; or a usual one.", least=0, most=1_000
    )
    upkeep_usd_per_h: float | None = asked(
        "Upkeep of hardware of one's own an hour; or none.", least=0, most=10**9
    )
    utilization: float = asked("Share of full load over the paid time.", 1.0, least=1e-6, most=1)
    prompt_tokens: int = asked("Tokens of a request's prompt.", 512, least=1, most=MOST_TOKENS)
    completion_tokens: int = asked("Tokens of a request's answer.", 256, least=1, most=MOST_TOKENS)
    requests_per_s: float | None = asked(
        "Load, for which the cheapest instance is sought.", least=1e-6, most=10**9
    )
    ttft_s: float | None = asked("Limit on the time to the first token.", least=1e-6, most=10**6)
    tpot_s: float | None = asked("Limit on the time per further token.", least=1e-6, most=10**6)
    colocate: int | None = asked(
        "Application replicas that would each hold the model, against one shared service.",
        least=1,
        most=MOST,
    )
    saas: str | None = asked("Somebody else's model to compare with, such as openai/gpt-4o.")
    train_tokens: int | None = asked(
        "Train on so many tokens, such as 300B.", least=1, most=MOST_TOKENS, flag="--train"
    )
    finetune: str | None = asked(
        "Fine-tune a given model in this way.", choices=("full", "lora", "qlora")
    )
    zero: int | None = asked("ZeRO stage of training; or 0.", least=0, most=3)
    lora_rank: int | None = asked("Rank of LoRA's matrices; or 16.", least=1, most=MOST)
    recompute: str | None = asked(
        "What of the activations training computes twice to save memory; or selective.",
        choices=("none", "selective", "full"),
    )

    def __post_init__(self) -> None:
        check(self)
        self._check_together()
        _day(self.as_of)

    @property
    def is_training(self) -> bool:
        """Whether it is about training, or fine-tuning."""
        return self.train_tokens is not None or self.finetune is not None

    def day(self, today: datetime.date) -> datetime.date:
        """The day whose prices hold."""
        return _day(self.as_of) or today

    def _check_together(self) -> None:
        """Raises InvalidRequest for fields of which one makes another meaningless."""
        given = {
            one.name for one in dataclasses.fields(self) if getattr(self, one.name) is not None
        }
        if {"device", "instance"} <= given:
            raise InvalidRequest("give a device or an instance, not both", param="device")
        self._check_owned(given)
        limits = given & {"ttft_s", "tpot_s"}
        if limits and "requests_per_s" not in given:
            raise InvalidRequest(
                f"{min(limits)} limits a load; give requests_per_s with it", param=min(limits)
            )
        foreign = given & (_OF_TRAINING if not self.is_training else _OF_SERVING)
        if foreign:
            kind = "serving, give train_tokens or finetune" if not self.is_training else "training"
            raise InvalidRequest(
                f"{min(foreign)} means nothing in a plan of {kind}", param=min(foreign)
            )
        if "lora_rank" in given and self.finetune not in ("lora", "qlora"):
            raise InvalidRequest("lora_rank needs finetune lora or qlora", param="lora_rank")

    def _check_owned(self, given: set[str]) -> None:
        """Raises InvalidRequest for the costs of hardware that is not one's own."""
        if "hardware_usd" in given and (other := given & {"instance", "price_usd_per_h"}):
            raise InvalidRequest(
                f"give hardware_usd or {min(other)}, not both: hardware is owned or rented",
                param="hardware_usd",
            )
        costs = given & {"electricity_usd_per_kwh", "upkeep_usd_per_h"}
        if costs and "hardware_usd" not in given:
            raise InvalidRequest(
                f"{min(costs)} is of hardware of one's own; give hardware_usd with it",
                param=min(costs),
            )


_OF_TRAINING = frozenset({"zero", "lora_rank", "recompute"})
_OF_SERVING = frozenset({"requests_per_s", "ttft_s", "tpot_s", "colocate", "saas"})


def count(text: str) -> int | None:
    """The number that `7B`, `1.5T`, `300e9` or `4096` says; None for what says none."""
    found = _COUNT.fullmatch(text.strip())
    if found is None:
        return None
    number = float(found[1]) * _SCALES[found[2].upper()]
    return round(number) if number <= MOST_TOKENS else None


def _day(text: str | None) -> datetime.date | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(
            f"as_of must be a day as YYYY-MM-DD, not '{text}'", param="as_of"
        ) from None
