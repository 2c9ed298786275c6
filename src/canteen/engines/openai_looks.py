"""How an upstream is: whether it takes requests now, and how many it has. No text is generated."""

import re
from urllib.parse import urlsplit

from canteen.core.errors import CanteenError
from canteen.core.upstream import Upstream
from canteen.engines.openai import Client

WITHIN_S = 2.0
# Canteen's, vLLM's, and what every service of the dialect has.
_HEALTH = ("/health/ready", "/health")
_NOT_HERE = (404, 405)
# vLLM's names, which Canteen uses too; of all models, which share the machine.
_REQUESTS = re.compile(
    rb"^vllm:num_requests_(?:running|waiting)(?:\{[^\n]*\})? (\S+)", re.MULTILINE
)


class Lookout:
    """Looks at one upstream."""

    def __init__(self, upstream: Upstream, client: Client) -> None:
        base_url = upstream.base_url.rstrip("/")
        root = base_url.removesuffix(urlsplit(base_url).path)
        self._client = client
        self._health = [*(root + path for path in _HEALTH), base_url + "/models"]
        self._metrics = root + "/metrics"

    async def look(self) -> float | None:
        """The requests that it runs and keeps waiting, 0 where it does not say; None where it
        takes none, or cannot be reached."""
        try:
            if not await self._is_well():
                return None
            status, told = await self._client.read(self._metrics, WITHIN_S)
        except CanteenError:
            return None
        return _num_requests(told) if status == 200 else 0.0

    async def _is_well(self) -> bool:
        """By the first of its health routes that it has."""
        while True:
            status, _ = await self._client.read(self._health[0], WITHIN_S)
            if status not in _NOT_HERE or len(self._health) == 1:
                return status < 500
            del self._health[0]

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()


def _num_requests(told: bytes) -> float:
    try:
        return sum(float(number) for number in _REQUESTS.findall(told))
    except ValueError:
        return 0.0
