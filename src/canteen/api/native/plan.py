"""`POST /v1/plan`: what a model takes, before it is loaded, bought or trained."""

import asyncio
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from canteen.api.fields import fields_of
from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import InvalidRequest
from canteen.planning import report
from canteen.planning.request import PlanRequest as Asked


class Planned(BaseModel):
    """The plan: what is uncertain is an object of `central`, `low`, `high`, `grade` and
    `boundary`, and every field has its unit in its name. Which fields there are depends on what
    was asked; `notes` says what was left out."""

    model_config = ConfigDict(extra="allow")
    model: str
    parameters: int
    quantization: str
    notes: list[str]
    provenance: list[dict[str, Any]]


_CONFIG = Field(None, description="A Hugging Face config.json in place of a model's name.")
PlanRequest = create_model(
    "PlanRequest", __base__=Wire, config=(JsonObject | None, _CONFIG), **fields_of(Asked)
)


async def plan(body: Any, served: Served) -> Response:
    """Plan as `canteen plan` does; the answer is that of its --json."""
    if bool(body.model) == (body.config is not None):
        raise InvalidRequest(
            "give a model, by name, or the config of one, and not both", param="model"
        )
    asked = Asked(**body.model_dump(exclude={"config"}))
    made = await asyncio.to_thread(served.services.plan, asked, body.config)
    return whole(report.as_json(made))
