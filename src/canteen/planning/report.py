"""A plan as JSON: every field has its unit in its name, uncertain ones their bounds."""

from typing import Any

from canteen.core.units import Input, Quantity
from canteen.planning.article import Claim, Figure
from canteen.planning.carrying import Carried, Latency, most_per_s
from canteen.planning.fleet import Fleet
from canteen.planning.memory import MemoryPlan
from canteen.planning.provenance import inputs
from canteen.planning.result import Batch, Learning, Plan, Serving
from canteen.planning.tensors import num_active_parameters, num_parameters

Json = dict[str, Any]


def as_json(plan: Plan) -> Json:
    """The plan, the same for the shell and for HTTP."""
    spec, place, site = plan.subject.spec, plan.place, plan.site
    body: Json = {
        "model": spec.name,
        "source": plan.subject.source,
        "parameters": num_parameters(spec),
        "active_parameters": num_active_parameters(spec),
        "quantization": plan.form.name,
        "device": place.name,
        "num_devices": place.num,
        "region": site.name,
        "as_of": plan.day.isoformat(),
    }
    if plan.serving is not None:
        body |= _serving(plan.serving)
    if plan.learning is not None:
        body |= _learning(plan, plan.learning)
    return body | {"notes": plan.notes, "provenance": [_input(one) for one in inputs(plan)]}


def figure(quantity: Quantity, unit: str) -> Json:
    """An uncertain number in a unit that its field's name tells."""
    told = quantity.to(unit)
    return {
        "central": told.central,
        "low": told.low,
        "high": told.high,
        "grade": told.grade,
        "boundary": str(told.boundary),
    }


def article(claims: tuple[Claim, ...]) -> Json:
    """The article's numbers, as its table in docs/the-article.md."""
    return {
        "claims": [
            {
                "claim": claim.claim,
                "then": [_figure_of(one) for one in claim.then],
                "standing": claim.standing,
                "today": [_figure_of(one) for one in claim.today],
            }
            for claim in claims
        ]
    }


def _figure_of(one: Figure) -> Json:
    told = figure(one.result, one.result.unit)
    return {"name": one.name, "formula": one.formula, "unit": one.result.unit, **told}


def _memory(held: MemoryPlan) -> Json:
    return {
        "weights_bytes": held.weights_bytes,
        "weights_low_bytes": held.weights.low_bytes,
        "weights_are_exact": held.weights.is_exact,
        "kv_bytes_per_token": held.kv_bytes_per_token,
        "kv_bytes_per_sequence": held.kv_bytes_per_sequence,
        "kv_total_bytes": held.kv_total_bytes,
        "compute_bytes": held.compute_bytes,
        "overhead_bytes": held.overhead_bytes,
        "total_bytes": held.total_bytes,
        "available_bytes": held.available_bytes,
        "context_length": held.sequences.context,
        "num_sequences": held.sequences.num,
        "engine": held.engine.name,
        "fits": held.fits,
        "max_sequences": held.max_sequences,
        "headroom_bytes": held.headroom_bytes,
    }


def _serving(serving: Serving) -> Json:
    body = _memory(serving.memory)
    prediction, cost, footprint = serving.prediction, serving.cost, serving.footprint
    if prediction is not None:
        body |= {
            "ttft_s": figure(prediction.ttft, "s"),
            "tpot_s": figure(prediction.tpot, "s"),
            "prefill_tokens_per_s": figure(prediction.prefill_speed, "token/s"),
            "decode_tokens_per_s": figure(prediction.decode_speed, "token/s"),
        }
    if cost is not None:
        body |= {
            "cost_usd_per_h": figure(cost.per_hour, "USD/h"),
            "cost_idle_usd_per_h": figure(cost.idle, "USD/h"),
            "cost_usd_per_request": figure(cost.per_request, "USD"),
            "cost_usd_per_mtok": figure(cost.per_mtok, "USD/Mtoken"),
        }
    if footprint is not None:
        body |= {
            "energy_wh_per_request": figure(footprint.energy, "Wh"),
            "water_site_ml_per_request": figure(footprint.water_site, "mL"),
            "water_source_ml_per_request": figure(footprint.water_source, "mL"),
            "carbon_g_per_request": figure(footprint.carbon_operational, "g"),
        }
    if footprint is not None and footprint.carbon_embodied is not None:
        body["carbon_embodied_g_per_request"] = figure(footprint.carbon_embodied, "g")
    return body | {"batches": [_batch(one) for one in serving.batches]} | _choices(serving)


def _batch(one: Batch) -> Json:
    prediction, cost = one.prediction, one.cost
    return {
        "num_sequences": prediction.batch,
        "tpot_s": figure(prediction.tpot, "s"),
        "decode_tokens_per_s": figure(prediction.decode_speed, "token/s"),
        "cost_usd_per_mtok": cost and figure(cost.per_mtok, "USD/Mtoken"),
        "energy_it_wh_per_request": figure(prediction.energy, "Wh"),
        "requests_per_s": figure(most_per_s(prediction), "1/s"),
    }


def _choices(serving: Serving) -> Json:
    body: Json = {
        "quantizations": [
            {
                "quantization": one.name,
                **_memory(one.memory),
                "decode_tokens_per_s": one.decode_speed and figure(one.decode_speed, "token/s"),
            }
            for one in serving.choices
        ]
    }
    if serving.fleets or serving.unfit:
        body["instances"] = [_fleet(one) for one in serving.fleets]
        body["unfit_instances"] = {one.machine.name: one.reason for one in serving.unfit}
    if serving.carried is not None:
        body["load"] = _carried(serving.carried)
    if serving.colocation is not None:
        both = serving.colocation
        body["colocation"] = {
            "inside_each_application": _fleet(both.inside),
            "one_shared_service": _fleet(both.shared),
            "price_ratio": both.price_ratio,
        }
    if serving.offer is not None:
        offer = serving.offer
        body["saas"] = {
            "model": f"{offer.provider}/{offer.model}",
            "cost_usd_per_request": figure(offer.cost, "USD"),
        }
    if serving.break_even is not None:
        told = serving.break_even
        body["break_even_utilization"] = figure(told.utilization, "1")
        body["break_even_num_sequences"] = serving.batches[-1].prediction.batch
        body["verdict"] = told.verdict
    return body


def _carried(one: Carried) -> Json:
    return {
        "requests_per_s": one.requests_per_s,
        "utilization": figure(one.utilization, "1"),
        "ttft_s": _latency(one.ttft),
        "e2e_s": _latency(one.e2e),
    }


def _latency(one: Latency | None) -> Json | None:
    return None if one is None else {"p50": one.p50_s, "p95": one.p95_s}


def _fleet(one: Fleet) -> Json:
    return {
        "instance": one.machine.name,
        "region": one.machine.region or None,
        "num_machines": one.num_machines,
        "num_replicas": one.num_replicas,
        "num_devices": one.num_devices,
        "batch": one.prediction.batch,
        "cost_usd_per_h": figure(one.price, "USD/h"),
        "utilization": figure(one.utilization, "1"),
        "ttft_s": figure(one.prediction.ttft, "s"),
        "tpot_s": figure(one.prediction.tpot, "s"),
    }


def _learning(plan: Plan, learning: Learning) -> Json:
    held, setup, done = learning.memory, learning.setup, learning.training
    body: Json = {
        "method": setup.method,
        "zero": setup.zero,
        "trained_parameters": held.trained_parameters,
        "weights_bytes": held.weights_bytes + held.frozen_bytes,
        "gradients_bytes": held.gradients_bytes,
        "optimizer_bytes": held.optimizer_bytes,
        "activations_bytes": held.activations_bytes,
        "overhead_bytes": held.overhead_bytes,
        "total_bytes": held.total_bytes,
        "fits": learning.fits,
    }
    if done is not None:
        body |= {
            "flops": figure(done.flops, "FLOP"),
            "gpu_hours": figure(done.device_time, "h"),
            "gpu_years": figure(done.gpu_years, "year"),
            "calendar_days": figure(done.calendar_time, "day"),
            "cost_usd": figure(done.cost, "USD") if plan.place.price else None,
            "energy_mwh": figure(done.energy, "MWh"),
        }
    if learning.footprint is not None:
        drunk = learning.footprint
        body |= {
            "energy_facility_mwh": figure(drunk.energy, "MWh"),
            "water_site_l": figure(drunk.water_site, "L"),
            "water_source_l": figure(drunk.water_source, "L"),
            "carbon_t": figure(drunk.carbon_operational, "t"),
        }
        if drunk.carbon_embodied is not None:
            body["carbon_embodied_t"] = figure(drunk.carbon_embodied, "t")
    return body


def _input(one: Input) -> Json:
    return {
        "name": one.name,
        "value": one.value,
        "low": one.low,
        "high": one.high,
        "unit": one.unit,
        "source": one.source,
        "as_of": one.as_of,
    }
