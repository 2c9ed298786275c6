"""Plans to look at: on a machine that is always the same, of models whose shapes are known."""

import datetime
from typing import Any

from canteen.factors.hardware import device
from canteen.planning.plan import plan
from canteen.planning.request import PlanRequest
from canteen.planning.result import Here, Plan, Serving
from canteen.planning.subject import of_name

TODAY = datetime.date(2026, 11, 23)


def planned(model: str, here: Here | None = None, **asked: Any) -> Plan:
    """The plan of a request; this machine is an H100 unless it is another."""
    request = PlanRequest(model, **asked)
    return plan(request, of_name(model, {}), here or Here(device("H100")), TODAY)


def served(model: str, **asked: Any) -> Serving:
    """Its part of serving."""
    made = planned(model, **asked).serving
    assert made is not None
    return made
