"""A receipt as its reader sees it: short with every answer, with its derivation when asked for."""

from typing import Any

from canteen.core.footprint import Charge, Footprint, Part, Receipt
from canteen.core.generation import Usage
from canteen.core.units import Input, Quantity, conversion, shares_of_variance


def as_json(receipt: Receipt) -> dict[str, Any]:
    """The key `footprint` of an answer."""
    usage, charge = receipt.usage, receipt.charge
    return {
        "id": receipt.id,
        "model": receipt.model,
        "digest": receipt.digest,
        "engine": receipt.engine,
        "phase": receipt.phase,
        "prompt_version": receipt.prompt_version or None,
        "asked": receipt.asked or None,
        "node": receipt.node or None,
        "tokens": tokens_json(usage),
        "time_s": {
            "queue": usage.queue_s,
            "prefill": usage.prefill_s,
            "decode": usage.decode_s,
        },
        "energy_uj": {
            **_charge_json(charge, receipt.boundary, receipt.grade),
            "idle_share": receipt.idle_share_uj,
        },
        **footprint_json(receipt.footprint),
        "nodes": [_part_json(part) for part in receipt.parts] or None,
        "provenance": list(receipt.provenance),
    }


def outline(receipt: Receipt) -> dict[str, Any]:
    """A receipt in short, as lists have it."""
    return {
        "id": receipt.id,
        "ended_s": receipt.ended_s,
        "model": receipt.model,
        "key": receipt.caller_id,
        "operation": receipt.operation,
        "phase": receipt.phase,
        "tokens": tokens_json(receipt.usage),
        **footprint_json(receipt.footprint),
    }


def tokens_json(usage: Usage) -> dict[str, int]:
    """Its tokens."""
    return {
        "prompt": usage.prompt_tokens,
        "cached": usage.cached_tokens,
        "completion": usage.completion_tokens,
    }


def footprint_json(footprint: Footprint) -> dict[str, Any]:
    """Its figures, each with its bounds; null where nothing is known. Carbon is operational,
    with what making the hardware took beside it: the two do not add up."""
    return {
        "energy_wh": _figure(footprint.energy, "Wh"),
        "water_ml": {
            "site": _figure(footprint.water_site, "mL"),
            "source": _figure(footprint.water_source, "mL"),
        },
        "carbon_g": {
            **_figure(footprint.carbon_operational, "g"),
            "embodied": footprint.carbon_embodied and _figure(footprint.carbon_embodied, "g"),
        },
        "cost_usd": footprint.cost and _figure(footprint.cost, "USD"),
    }


def provenance(footprint: Footprint, meter: str) -> tuple[str, ...]:
    """Where figures come from, a line each: the meter, then the factors. Their sources are in the
    derivation."""
    return (f"energy: {meter}", *(_line(one) for one in _inputs(footprint)))


def derivation(receipt: Receipt) -> dict[str, Any]:
    """How its figures came about: each input once, what each figure owes its uncertainty to."""
    figures = dict(_figures(receipt.footprint))
    return {
        "conversation_id": receipt.conversation_id or None,
        "operation": receipt.operation,
        "ended_s": receipt.ended_s,
        "hour_idle_share_uj": receipt.hour_idle_share_uj,
        "device_us": {"prefill": receipt.charge.prefill_us, "decode": receipt.charge.decode_us},
        "inputs": [
            {
                "name": one.name,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "unit": one.unit,
                "source": one.source,
                "as_of": one.as_of,
                "method": one.method,
            }
            for one in _inputs(receipt.footprint)
        ],
        "share_of_variance": {name: _shares(one) for name, one in figures.items()},
    }


def _part_json(part: Part) -> dict[str, Any]:
    """What one node did, as its own receipt would tell it."""
    return {
        "id": part.receipt_id,
        "node": part.node or None,
        "model": part.model,
        "tokens": tokens_json(part.usage),
        "energy_uj": _charge_json(part.charge, part.boundary, part.grade),
        **footprint_json(part.footprint),
    }


def _charge_json(charge: Charge, boundary: str, grade: str) -> dict[str, Any]:
    return {
        "prefill": charge.prefill_uj,
        "decode": charge.decode_uj,
        "boundary": boundary,
        "grade": grade,
    }


def _figure(quantity: Quantity, unit: str) -> dict[str, Any]:
    # Not by `to`: this is done for every answer.
    factor, boundary = conversion(quantity.unit, unit), quantity.boundary
    return {
        "central": quantity.central * factor,
        "low": quantity.low * factor,
        "high": quantity.high * factor,
        "grade": quantity.grade,
        "boundary": boundary.carbon or boundary.water or boundary.energy or None,
    }


def _figures(footprint: Footprint) -> list[tuple[str, Quantity]]:
    named = (
        ("energy_wh", footprint.energy),
        ("water_site_ml", footprint.water_site),
        ("water_source_ml", footprint.water_source),
        ("carbon_operational_g", footprint.carbon_operational),
        ("carbon_embodied_g", footprint.carbon_embodied),
        ("cost_usd", footprint.cost),
    )
    return [(name, one) for name, one in named if one is not None]


def _inputs(footprint: Footprint) -> list[Input]:
    known: dict[tuple[str, float, str], Input] = {}
    for _, figure in _figures(footprint):
        for one in figure.inputs:
            known.setdefault((one.name, one.value, one.source), one)
    return list(known.values())


def _shares(figure: Quantity) -> dict[str, float]:
    return {one.name: share for one, share in shares_of_variance(figure) if share}


def _line(one: Input) -> str:
    bounds = "" if one.low == one.high else f" [{one.low:g}-{one.high:g}]"
    unit = "" if one.unit == "1" else f" {one.unit}"
    return f"{one.name}: {one.value:g}{bounds}{unit}, {one.as_of}"
