"""The table of our own routes."""

from pydantic import BaseModel
from starlette.responses import Response

from canteen.api import reranking
from canteen.api.errors import problem
from canteen.api.exposition import refresh
from canteen.api.native import (
    classifiers,
    footprint,
    health,
    indexes,
    jobs,
    keys,
    now,
    plan,
    prompts,
    store,
    tasks,
)
from canteen.api.routing import Dialect, Route, Served
from canteen.api.whole import whole
from canteen.metering.metrics import MEDIA_TYPE, OPEN_MEDIA_TYPE


class Version(BaseModel):
    """Which Canteen this is."""

    version: str


async def metrics(served: Served) -> Response:
    """Everything counted, for Prometheus."""
    services = served.services
    await refresh(services)
    is_open = "application/openmetrics-text" in served.headers.get("accept", "")
    text = services.metrics.text(is_open=is_open)
    return Response(text, headers={"content-type": OPEN_MEDIA_TYPE if is_open else MEDIA_TYPE})


async def version(served: Served) -> Response:
    """Which Canteen this is."""
    return whole({"version": served.services.version})


ROUTES = (
    Route(
        "GET", "/health", health.health, None, health.Health, "Ready for requests?", scope="open"
    ),
    Route(
        "GET", "/healthz", health.health, None, health.Health, "Ready for requests?", scope="open"
    ),
    Route("GET", "/ping", health.ping, None, health.Health, "Alive?", scope="open"),
    Route("GET", "/health/startup", health.startup, None, health.Health, "Started?", scope="open"),
    Route("GET", "/health/live", health.live, None, health.Health, "Alive?", scope="open"),
    Route(
        "GET",
        "/health/ready",
        health.ready,
        None,
        health.Health,
        "Ready for requests?",
        scope="open",
    ),
    Route("GET", "/metrics", metrics, None, None, "Metrics for Prometheus", scope="llm:footprint"),
    Route(
        "POST",
        "/v1/plan",
        plan.plan,
        plan.PlanRequest,
        plan.Planned,
        "What a model takes",
        scope="key",
    ),
    Route(
        "GET",
        "/v1/plan",
        plan.choices,
        None,
        plan.Offered,
        "What plans can be made with",
        scope="key",
    ),
    Route(
        "GET",
        "/v1/plan/article",
        plan.claims,
        None,
        plan.Claims,
        "The article's numbers",
        scope="key",
    ),
    *footprint.ROUTES,
    *tasks.ROUTES,
    *prompts.ROUTES,
    *classifiers.ROUTES,
    *indexes.ROUTES,
    *jobs.ROUTES,
    *keys.ROUTES,
    *now.ROUTES,
    *store.ROUTES,
    reranking.route("/v1/rerank"),
    reranking.route("/rerank"),
    Route("GET", "/version", version, None, Version, "The version", scope="key"),
)
DIALECT = Dialect("native", ROUTES, problem, error_media_type="application/problem+json")
