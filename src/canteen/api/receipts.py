"""The receipt as the OpenAPI document shows it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Shown(BaseModel):
    """The base of its parts."""

    model_config = ConfigDict(protected_namespaces=())


class Figure(Shown):
    """An uncertain figure: median, P5 and P95. Grades: A metered, B modelled and calibrated, C
    modelled with a guess in it, D declared."""

    central: float
    low: float
    high: float
    grade: Literal["A", "B", "C", "D"]
    boundary: str | None


class Tokens(Shown):
    """Tokens read, found in the cache, and written."""

    prompt: int
    cached: int
    completion: int


class Times(Shown):
    """Seconds waiting, reading the prompt, and writing."""

    queue: float
    prefill: float
    decode: float


class Counted(Shown):
    """A part of what a node's meter counted, in integers that add up to it. `boundary` is what the
    meter counts (`cpu` packages and their memory, a `platform`, `gpu` boards, or `it`, a server at
    its plug) and `grade` how: A by a counter, B or C by a model, D as declared."""

    prefill: int
    decode: int
    boundary: Literal["cpu", "platform", "gpu", "cpu+gpu", "it"]
    grade: Literal["A", "B", "C", "D"]


class Microjoules(Counted):
    """Of the node that made the receipt out. `idle_share` is no part of it and only informs."""

    idle_share: int


class Water(Shown):
    """Evaporated to cool the site, and consumed in making its power."""

    site: Figure
    source: Figure


class Carbon(Figure):
    """Of making the power; `embodied`, of making the hardware, is no part of it."""

    embodied: Figure | None


class NodePart(Shown):
    """What one node did of an answer, as its own receipt `id` tells. `node` is null for a service
    that tells nothing: its figures are modelled."""

    id: str
    node: str | None
    model: str
    tokens: Tokens
    energy_uj: Counted
    energy_wh: Figure
    water_ml: Water
    carbon_g: Carbon
    cost_usd: Figure | None


class ReceiptBody(Shown):
    """What an answer ate and drank."""

    id: str = Field(description="`GET /v1/footprint/{id}` tells its derivation.")
    model: str
    digest: str
    engine: str
    phase: str
    prompt_version: str | None = Field(description="The template that a task made its prompt with.")
    asked: str | None = Field(
        description="The chain or pool that was asked, where `model` is one of it."
    )
    node: str | None = Field(description="Who made it out.")
    tokens: Tokens
    time_s: Times
    energy_uj: Microjoules
    energy_wh: Figure
    water_ml: Water
    carbon_g: Carbon
    cost_usd: Figure | None
    nodes: list[NodePart] | None = Field(
        description="Who did what, where others had a part in it; all of it is in the figures."
    )
    provenance: list[str]
