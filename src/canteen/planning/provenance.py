"""The numbers from outside that a plan rests on."""

from collections.abc import Iterator

from canteen.core.units import Input, Quantity
from canteen.planning.result import Plan


def inputs(plan: Plan) -> list[Input]:
    """All numbers from outside that the plan rests on, each once."""
    known: dict[tuple[str, float, str], Input] = {}
    for one in (one for quantity in _quantities(plan) for one in quantity.inputs):
        known.setdefault((one.name, one.value, one.source), one)
    return list(known.values())


def _quantities(plan: Plan) -> Iterator[Quantity]:
    serving, learning = plan.serving, plan.learning
    if serving is not None and serving.prediction is not None:
        yield serving.prediction.device_time
    if serving is not None and serving.cost is not None:
        yield serving.cost.per_request
    if serving is not None and serving.offer is not None:
        yield serving.offer.cost
    if learning is not None and learning.training is not None:
        yield from (learning.training.cost, learning.training.calendar_time)
    for drunk in (one.footprint for one in (serving, learning) if one is not None):
        if drunk is not None:
            yield from (drunk.water_site, drunk.water_source, drunk.carbon_operational)
        if drunk is not None and drunk.carbon_embodied is not None:
            yield drunk.carbon_embodied
