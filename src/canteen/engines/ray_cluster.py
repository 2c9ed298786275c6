"""A Ray cluster: joining it, and having models placed on its nodes."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Collection, Mapping
from typing import Any

from canteen.core.errors import EngineError, NotSupported
from canteen.core.telemetry_off import switch_off
from canteen.engines.ray import LOOK_EVERY_S, Deployed, delete, first_report, take_off
from canteen.engines.ray_joining import LOCAL, check_address, knock, tell
from canteen.engines.ray_replica import Replica
from canteen.engines.ray_wanted import Wanted
from canteen.engines.wire import from_wire

logger = logging.getLogger(__name__)

# Where nobody on the cluster has room for it, a model that loads is waited for no longer.
PLACED_WITHIN_S = 60.0
# Whether replicas are enough is judged by the worst of these seconds; Ray wants more than 10.
LOOK_BACK_S = 11.0
# Ray's own words for a replica that no node has room for.
NO_ROOM = "to be scheduled"
# And for a module that another thread took out.
DISTURBED = "is not registered for pickle by value"


class Cluster:
    """A Ray cluster: `local` is one that begins and ends with this process, on loopback; else the
    address of one whose node this machine is. Ray is imported when it is first used."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._apps: set[str] = set()

    def connect(self) -> None:
        """Join it, where that was not done; blocks. Raises NotSupported, InvalidRequest and
        EngineError."""
        check_address(self._address)
        tell(self._address, os.environ)
        try:
            import ray
            from ray import serve
        except ImportError:
            raise NotSupported(
                "Ray is not installed; run: pip install 'canteen-llm[ray]'"
            ) from None
        if ray.is_initialized():
            return
        switch_off(os.environ, sys.modules)
        local = {"include_dashboard": False} if self._address == LOCAL else {}
        knock(self._address)
        try:
            ray.init(
                self._address,
                namespace="canteen",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **local,
            )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as exc:
            logger.debug("no cluster", exc_info=exc)
            raise EngineError(
                f"the Ray cluster at {self._address} cannot be joined from here; make this machine "
                f"a node of it with: ray start --address {self._address}. If it asks for a "
                "token, have the same one here, in ~/.ray/auth_token or RAY_AUTH_TOKEN, and set "
                "RAY_AUTH_MODE=token, else it is not shown"
            ) from exc
        logging.getLogger("ray").setLevel(logging.ERROR)
        serve.start(proxy_location="Disabled")

    async def resources(self) -> list[Mapping[str, float]]:
        """What each node has, by Ray's names: `CPU`, `GPU`, `memory`, `accelerator_type:…`."""
        import ray

        await asyncio.to_thread(self.connect)
        nodes = await asyncio.to_thread(ray.nodes)
        return [node["Resources"] for node in nodes if node["Alive"]]

    async def deploy(self, wanted: Wanted) -> "Deployed":
        """Have replicas of a model; returns when the first has loaded it. Raises what loading it
        raised, and EngineError where no node has room."""
        await asyncio.to_thread(self.connect)
        self._apps.add(wanted.app)
        handle = deployed = None
        try:
            await asyncio.to_thread(_delete_left, wanted.family, frozenset(self._apps))
            handle = await asyncio.to_thread(_deploy, wanted)
            await _until_placed(wanted)
            first = await first_report(handle)
            if first.error is not None:
                raise from_wire(first.error)
            deployed = Deployed(wanted, handle, first)
            return deployed
        finally:
            if deployed is None:
                await take_off(wanted.app, handle)

    async def close(self) -> None:
        """Leave it; a local one ends."""
        if "ray" in sys.modules:
            await asyncio.to_thread(sys.modules["ray"].shutdown)


def _delete_left(family: str, ours: Collection[str]) -> None:
    """Have taken off what a killed gateway has left of a model that it had told otherwise."""
    from ray import serve

    for app in serve.status().applications:
        if app.startswith(family) and app not in ours:
            delete(app)


def _deploy(wanted: Wanted) -> Any:
    """A handle to what Ray begins to start now."""
    from ray import serve

    asked = (wanted.engine, wanted.options, wanted.facts, wanted.home)
    target = serve.RunTarget(_described(wanted).bind(*asked), name=wanted.app, route_prefix=None)
    return serve.run_many([target], wait_for_applications_running=False)[0]


def _described(wanted: Wanted) -> Any:
    """What Ray is to start. To describe it is to register a module with Ray's pickler for a moment,
    and a thread of Ray's own that does so too may be the first to take it out again."""
    try:
        return _deployment(wanted)
    except ValueError as error:
        if DISTURBED not in str(error):
            raise
        return _deployment(wanted)


def _deployment(wanted: Wanted) -> Any:
    from ray import serve

    needs, scale = wanted.needs, wanted.scale
    return serve.deployment(
        name="replica",
        max_ongoing_requests=wanted.num_seqs,
        graceful_shutdown_timeout_s=scale.drain_s,
        graceful_shutdown_wait_loop_s=0.5,
        autoscaling_config={
            "min_replicas": scale.min_replicas,
            "max_replicas": scale.max_replicas,
            # More than they have places for: some wait.
            "target_ongoing_requests": wanted.num_seqs,
            "upscale_delay_s": scale.upscale_delay_s,
            "downscale_delay_s": scale.downscale_delay_s,
            "look_back_period_s": LOOK_BACK_S,
            "aggregation_function": "max",
        },
        ray_actor_options={
            "num_cpus": needs.num_cpus,
            "num_gpus": needs.num_gpus,
            "memory": needs.memory_bytes,
            "resources": dict(needs.also),
        },
    )(Replica)


async def _until_placed(wanted: Wanted) -> None:
    """Until Ray has started the replicas that there must be at least."""
    from ray import serve

    began_s = time.monotonic()
    while True:
        told = (await asyncio.to_thread(serve.status)).applications.get(wanted.app)
        status = "" if told is None else str(told.status.value)
        said = [] if told is None else [one.message for one in told.deployments.values()]
        if status == "RUNNING":
            return
        if status in ("DEPLOY_FAILED", "UNHEALTHY"):
            logger.error("a replica cannot be started: %s", "\n".join(said))
            raise EngineError(
                "the Ray cluster cannot start a replica of the model; each node needs this version "
                "of Canteen and the model's files at the same path; the log has more"
            )
        is_late = time.monotonic() - began_s > PLACED_WITHIN_S
        if is_late and any(NO_ROOM in message for message in said):
            raise EngineError(
                f"no node of the Ray cluster has room for the model: a replica takes "
                f"{wanted.needs}; add a node, or take other models off it"
            )
        await asyncio.sleep(LOOK_EVERY_S)
