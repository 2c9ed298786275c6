"""The numbers of the article that this service answers, each computed again, then and for today.

Every figure is a result of the planner's own functions; what it rests on is in its inputs.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from canteen.core.units import NO_BOUNDARY, Boundary, Quantity, exact
from canteen.factors import site
from canteen.factors.hardware import device
from canteen.factors.instances import instance, price
from canteen.factors.places import Site
from canteen.factors.table import load
from canteen.planning import training
from canteen.planning.config import from_config
from canteen.planning.quantization import weights_bytes, weights_format
from canteen.planning.training import Devices, Training

PUBLISHED = datetime.date(2023, 10, 15)
_REGION = "us-east-1"
_P5, _G5, _M7I = "p5.48xlarge", "g5.48xlarge", "m7i.48xlarge"
_IT = Boundary(energy="it")

Facts = Mapping[str, Quantity]


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of ours: what it is, how it is computed, and what comes out."""

    name: str
    formula: str
    result: Quantity


@dataclass(frozen=True, slots=True)
class Claim:
    """A number of the article, what gives it, whether it stands, and what it is by now."""

    claim: str
    then: tuple[Figure, ...]
    standing: str
    today: tuple[Figure, ...] = ()


def claims(on: datetime.date) -> tuple[Claim, ...]:
    """The article's numbers; `on` is today. Raises InvalidRequest for a day without prices."""
    facts = load("article").quantities()
    return (
        _weights(facts),
        _machines(facts),
        _bytes_per_parameter(facts),
        _years(facts),
        _training_cost(facts, on),
        _price(_P5, "$98.32 an hour", on),
        _price(_G5, "about $16 an hour", on),
        _price(_M7I, "$9.6768 an hour", on),
        _expensive(on),
        _conversation(facts),
    )


def compare(one: Figure, other: Figure) -> Quantity:
    """How many times the other it is; raises UnitMismatch where they count different things."""
    return one.result.ratio(other.result)


def drunk(whose: str, energy_it: Quantity, place: Site) -> tuple[Figure, ...]:
    """Water of a request by its energy at the plug, and how many such requests are 500 mL."""
    on_site = site.water_site(energy_it, place).to("mL")
    source = site.water_source(energy_it, place).to("mL")
    # Scopes are added here alone, to give what the article's own source gives.
    both = on_site.bounded(NO_BOUNDARY) + source.bounded(NO_BOUNDARY)
    return (
        Figure(f"{whose}: water on site", "E_it · WUE", on_site),
        Figure(f"{whose}: water for its power", "E_it · PUE · EWIF", source),
        Figure(f"{whose}: both", "E_it · (WUE + PUE · EWIF)", both),
        _bottle(f"{whose}, both", both),
        _bottle(f"{whose}, site alone", on_site),
    )


def _bottle(whose: str, water: Quantity) -> Figure:
    times = exact(500.0, "mL") / water.bounded(NO_BOUNDARY)
    return Figure(f"{whose}: requests in 500 mL", "500 mL / water of a request", times)


def _weights(facts: Facts) -> Claim:
    return Claim(
        "GPT-3 with 175 billion parameters of 16 bits takes 350 GB",
        (_weights_of(facts, 16),),
        "exact for the weights; KV cache and buffers come on top",
        (_weights_of(facts, 32), _weights_of(facts, 8)),
    )


def _weights_of(facts: Facts, bits: float) -> Figure:
    size = (facts["GPT-3, parameters"] * exact(bits / 8, "B")).to("GB")
    return Figure(f"weights of {bits:g} bits", f"N · {bits:g} / 8 B", size)


def _mixture(facts: Facts) -> Figure:
    """GPT-3 in the usual mixture of about 4 bits, by llama.cpp's rule."""
    spec = from_config(
        {
            "model_type": "gpt3",
            "num_hidden_layers": round(facts["GPT-3, layers"].central),
            "num_attention_heads": round(facts["GPT-3, heads"].central),
            "hidden_size": round(facts["GPT-3, hidden size"].central),
            "vocab_size": round(facts["GPT-3, vocabulary"].central),
            "max_position_embeddings": round(facts["GPT-3, context"].central),
        }
    )
    size = weights_bytes(spec, weights_format("Q4_K_M", spec), is_tied=True)
    return Figure("weights in Q4_K_M", "sum over its tensors", exact(size, "B").to("GB"))


def _machines(facts: Facts) -> Claim:
    return Claim(
        f"{_P5} and {_M7I} hold it, {_G5} does not",
        tuple(_held(name, _weights_of(facts, 16)) for name in (_P5, _M7I, _G5)),
        f"holds; 8 bits fit {_G5} but leave no room for a cache, a 4-bit mixture fits",
        (
            _held(_G5, _weights_of(facts, 8)),
            _held(_G5, _mixture(facts)),
        ),
    )


def _held(name: str, weights: Figure) -> Figure:
    share = weights.result.ratio(instance(name).model_memory)
    return Figure(f"{weights.name}, share of the memory of {name}", "weights / memory", share)


def _bytes_per_parameter(facts: Facts) -> Claim:
    return Claim(
        "2 bytes a parameter; quantize to save memory",
        (Figure("bytes of a 16-bit number", "16 / 8", exact(2.0, "B")),),
        "holds; mixtures named for 4 bits are nearer 4.9",
        (_mixture(facts),),
    )


def _years(facts: Facts) -> Claim:
    today = _on_h100(facts, price(instance(_P5), _REGION, PUBLISHED) / 8)
    return Claim(
        "355 GPU-years to train GPT-3",
        (Figure("years of a V100", "FLOPs / 28 TFLOP/s", _as_lambda(facts).gpu_years),),
        "an estimate by Lambda Labs of 2020: a V100 at 28 TFLOP/s, 22 % of its 16-bit peak",
        (Figure("years of an H100", "6 · N · D / (peak · MFU)", today.gpu_years),),
    )


def _training_cost(facts: Facts, on: datetime.date) -> Claim:
    rented = (
        (day, _on_h100(facts, price(instance(_P5), _REGION, day) / 8)) for day in (PUBLISHED, on)
    )
    return Claim(
        "$4.6 million to train GPT-3",
        (Figure("on V100 at $1.50 an hour", "GPU-h · price", _as_lambda(facts).cost),),
        "an estimate by Lambda Labs of 2020 at its lowest price, reserved for three years; "
        "$4.6 million are $1.48 an hour",
        tuple(
            Figure(f"on H100, {_P5} on {day}", "GPU-h · price / 8", run.cost) for day, run in rented
        ),
    )


def _as_lambda(facts: Facts) -> Training:
    """GPT-3's training as Lambda Labs counted it."""
    v100 = Devices(
        num=1,
        peak=facts["V100, speed that Lambda assumed"],
        power_max=device("V100").power_max,
        price=facts["V100, lowest reserved price"],
        flops_share=exact(1.0),
        power_share=exact(1.0),
        plug_factor=exact(1.0),
        restarts=exact(1.0),
    )
    return training.train(facts["GPT-3, training FLOPs"], v100)


def _on_h100(facts: Facts, price_per_h: Quantity) -> Training:
    h100 = device("H100")
    flops = exact(6.0, "FLOP/token") * facts["GPT-3, parameters"] * facts["GPT-3, training tokens"]
    return training.train(
        flops, training.devices(1, h100.peak["bf16"], h100.power_max, price_per_h)
    )


def _price(name: str, said: str, on: datetime.date) -> Claim:
    then, now = (price(instance(name), _REGION, day) for day in (PUBLISHED, on))
    is_same = then.central == now.central
    return Claim(
        f"{name} costs {said}",
        (Figure(f"list price in {_REGION} on {PUBLISHED}", "table", then),),
        "holds" if is_same else "held in October 2023; it has changed since",
        (Figure(f"list price in {_REGION} on {on}", "table", now),),
    )


def _expensive(on: datetime.date) -> Claim:
    big, small = instance(_P5), instance(_M7I)
    faster = Figure(
        f"bandwidth of {_P5} over that of {_M7I}",
        "8 · H100 / (16 channels of DDR5-4800)",
        (big.hardware.bandwidth * big.num_devices).ratio(small.hardware.bandwidth),
    )
    return Claim(
        "expensive GPUs pay where they are used well",
        (faster, *_per_byte(faster, PUBLISHED)),
        "holds already for a single request; a batch shares the reading of weights and multiplies "
        "it; idle, the GPUs are as much dearer as their hour",
        _per_byte(faster, on),
    )


def _per_byte(faster: Figure, day: datetime.date) -> tuple[Figure, Figure]:
    dearer = price(instance(_P5), _REGION, day).ratio(price(instance(_M7I), _REGION, day))
    return (
        Figure(f"price of {_P5} over that of {_M7I} on {day}", "price / price", dearer),
        Figure("cheaper a token, one at a time", "bandwidths / prices", faster.result / dearer),
    )


def _conversation(facts: Facts) -> Claim:
    place = Site(
        "US average of Li et al.",
        pue=facts["Li, PUE"],
        wue=facts["Li, WUE"],
        ewif=facts["Li, EWIF"],
        carbon_intensity=exact(0.0, "g/kWh"),
    )
    epoch = facts["Epoch, typical request"] / facts["Epoch, PUE"]
    return Claim(
        "a conversation drinks 500 mL",
        drunk("Li et al., US average", facts["Li, a medium request"].bounded(_IT), place),
        "true of some 30 requests that take 4 Wh each, a figure of GPT-3's paper of 2020, and for "
        "site and power together; at today's published energies 500 mL are hundreds of requests, "
        "and thousands by site water alone",
        (
            *drunk("Google's median prompt", facts["Google, at the plug"].bounded(_IT), place),
            *drunk("Epoch's estimate", epoch.bounded(_IT), place),
            *_published(facts),
        ),
    )


def _published(facts: Facts) -> tuple[Figure, ...]:
    """What providers publish themselves, in their own scopes."""
    google = facts["Google, median prompt, water"].bounded(Boundary(water="site"))
    mistral = facts["Mistral, answer of 400 tokens, water"].bounded(Boundary(water="lifecycle"))
    return (
        Figure("Google publishes, site", "published", google),
        _bottle("as Google publishes", google),
        Figure("OpenAI publishes, scope not told", "published", facts["OpenAI, water"]),
        _bottle("as OpenAI publishes", facts["OpenAI, water"]),
        Figure("Mistral publishes, life cycle with manufacture", "published", mistral),
    )
