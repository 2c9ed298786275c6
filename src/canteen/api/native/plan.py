"""`POST /v1/plan`: what a model takes, before it is loaded, bought or trained."""

import asyncio
import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from starlette.responses import Response

from canteen.api.fields import fields_of
from canteen.api.routing import Served
from canteen.api.whole import whole
from canteen.api.wire import JsonObject, Wire
from canteen.core.errors import InvalidRequest
from canteen.planning import article, offered, report
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


class Claims(BaseModel):
    """The article's numbers: each with what gives it `then`, its `standing`, and `today`."""

    claims: list[dict[str, Any]]


class Offered(BaseModel):
    """What plans can be made with; a price holds in a region, from a day to a day."""

    models: list[dict[str, Any]]
    quantizations: list[str]
    kv_caches: list[str]
    devices: list[dict[str, Any]]
    instances: list[dict[str, Any]]
    regions: list[dict[str, Any]]
    countries: list[str]


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


async def choices(served: Served) -> Response:
    """What plans can be made with: models, formats, devices, machines, places and days."""
    return whole(await asyncio.to_thread(offered.offered, served.models()))


async def claims(served: Served) -> Response:
    """The article's numbers, computed again; today's at the prices of `as_of`."""
    today = datetime.date.today()
    day = Asked(as_of=served.request.query_params.get("as_of")).day(today)
    if day > today:
        raise InvalidRequest(
            f"nobody knows the prices of {day}; give a day up to today", param="as_of"
        )
    return whole(report.article(await asyncio.to_thread(article.claims, day)))
