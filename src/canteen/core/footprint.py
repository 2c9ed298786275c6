"""What a request ate and drank: its charge in integers, and the receipt that tells it."""

import uuid
from dataclasses import dataclass, field
from typing import Literal

from canteen.core.generation import Usage
from canteen.core.units import Grade, Quantity

Phase = Literal["inference", "train", "load"]
# What a meter's count is of: a processor's packages and their memory, a platform as its firmware
# sees it, accelerator boards, or the whole server at its plug.
Counted = Literal["cpu", "platform", "gpu", "cpu+gpu", "it"]
# The accounts of a node. They add up to its meter, to the microjoule.
Account = Literal["requests", "train", "load", "idle", "unattributed"]


@dataclass(frozen=True, slots=True)
class Charge:
    """A request's part of what its node's meter read, in microjoules, and of the time of its
    devices, in microseconds. Integers, so that the parts add up to the whole. `node` names the
    machines of a cluster that did the work, with commas between; it is empty for this machine."""

    prefill_uj: int = 0
    decode_uj: int = 0
    prefill_us: int = 0
    decode_us: int = 0
    node: str = field(default="", kw_only=True)

    def __add__(self, other: "Charge") -> "Charge":
        """Of two parts of one request."""
        nodes = {name for one in (self, other) for name in one.node.split(",") if name}
        return Charge(
            self.prefill_uj + other.prefill_uj,
            self.decode_uj + other.decode_uj,
            self.prefill_us + other.prefill_us,
            self.decode_us + other.decode_us,
            node=",".join(sorted(nodes)),
        )

    @property
    def energy_uj(self) -> int:
        """All its microjoules."""
        return self.prefill_uj + self.decode_uj

    @property
    def device_us(self) -> int:
        """All its device time."""
        return self.prefill_us + self.decode_us


@dataclass(frozen=True, slots=True)
class Footprint:
    """A charge told in what it means; `energy` is at the facility's boundary. What nothing is
    known of, for want of a price or a life-cycle figure of the hardware, is None."""

    energy: Quantity
    water_site: Quantity
    water_source: Quantity
    carbon_operational: Quantity
    carbon_embodied: Quantity | None = None
    cost: Quantity | None = None


# Compared by identity: they are few, and each has dozens of inputs.
@dataclass(frozen=True, slots=True, eq=False)
class TokenRates:
    """What tokens of somebody else's service mean. The first four are of one written token, in J,
    L, L and g; a read one counts `read_share` of it. Prices are USD a token, None where unknown."""

    energy: Quantity
    water_site: Quantity
    water_source: Quantity
    carbon_operational: Quantity
    read_share: float
    price_read: Quantity | None = None
    price_cached: Quantity | None = None
    price_written: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A part of a request that somebody else's service did, as the model of this name."""

    model: str
    rates: TokenRates
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What one node did of a request that others have a part in, by the receipt of that node.

    `charge` is by its meter, which counts `boundary`, and has no times where another told it.
    `node` is empty for a service that told nothing, of which all is modelled.
    """

    node: str
    receipt_id: str
    model: str
    usage: Usage
    charge: Charge
    boundary: Counted
    grade: Grade
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one response ate and drank; `ended_s` is seconds since 1970. `model` is the one that
    answered, `asked` the chain or pool that it was asked as one of, if any; `elsewhere` has the
    tokens of upstreams that told nothing, which are in the footprint and not in the charge. `node`
    is who made it out, `parts` who did what, empty where the node did all.

    `boundary` and `grade` are of the charge: what its meter counts, and how well. The idle shares
    only inform: `idle_share_uj` of what the hour had idled when it was told, `hour_idle_share_uj`
    of the hour as the ledger has it, None where nobody asked the ledger.
    """

    id: str
    model: str
    digest: str
    engine: str
    caller_id: str
    ended_s: float
    usage: Usage
    charge: Charge
    footprint: Footprint
    phase: Phase = "inference"
    operation: str = ""
    conversation_id: str = ""
    prompt_version: str = ""
    boundary: Counted = "it"
    grade: Grade = "C"
    idle_share_uj: int = 0
    hour_idle_share_uj: int | None = None
    provenance: tuple[str, ...] = field(default=())
    asked: str = ""
    elsewhere: tuple[Elsewhere, ...] = ()
    node: str = ""
    parts: tuple[Part, ...] = ()

    @property
    def told(self) -> tuple[Part, ...]:
        """The parts that others have a receipt for."""
        return tuple(part for part in self.parts if part.receipt_id != self.id)


def new_receipt_id() -> str:
    """An id that no other receipt has."""
    return f"rcpt_{uuid.uuid4().hex}"
