"""A model of a cluster: fitted to one load of two replicas on Ray, held against another load, and
asked about a hundred nodes.

The echo engine works at fixed speeds, so that the machine plays as small a part as may be. Both
loads are Poisson, of three lengths of prompts and of answers; the model is told when the requests
of the second came and how long they were, and nothing of how they fared.
"""

import asyncio
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np

from benchmarks import log
from benchmarks.servers import Server, echo
from canteen.bench.client import Client
from canteen.bench.figures import Outcome
from canteen.bench.load import Load, poisson
from canteen.bench.loops import open_loop
from canteen.planning.queueing import Answered, Asked, Service, fitted, simulate

TABLE = "A cluster and its model"
NUM_REPLICAS, NUM_SEQS = 2, 6
TOKENS_PER_S, PREFILL_TOKENS_PER_S = 10.0, 200.0
PROMPTS, ANSWERS = (20, 100, 200), (10, 20, 40)
# Of what two replicas can do: one load at which few wait, and one at which many do.
FITTED_TO, HELD_AGAINST = 0.5, 0.95
DURATION_S = 45.0
NODES = 100
MODELLED_S = 600.0


@dataclass(frozen=True)
class Callers:
    """A client for each pair of lengths, of which every request is given one by its number."""

    clients: dict[tuple[int, int], Client]
    seed: int

    @classmethod
    def of(cls, server: Server, seed: int) -> "Callers":
        """Callers of all lengths."""
        pairs = [(prompt, answer) for prompt in PROMPTS for answer in ANSWERS]
        clients = {pair: Client(server.url, "echo", Load(*pair)) for pair in pairs}
        return cls(clients, seed)

    async def ask(self, number: int, due_s: float) -> Outcome:
        """Ask a request of its lengths."""
        return await self.clients[lengths(self.seed, number)].ask(number, due_s)

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients.values():
            client.close()


def lengths(seed: int, number: int) -> tuple[int, int]:
    """Those of a prompt and of an answer."""
    draw = random.Random(f"{seed} {number}")
    return draw.choice(PROMPTS), draw.choice(ANSWERS)


def capacity_per_s(num_replicas: int) -> float:
    """Requests a second that as many replicas can do at their speeds."""
    mean_s = np.mean(PROMPTS) / PREFILL_TOKENS_PER_S + np.mean(ANSWERS) / TOKENS_PER_S
    return float(num_replicas * NUM_SEQS / mean_s)


def asked(share: float, num_replicas: int, duration_s: float, seed: int) -> list[Asked]:
    """A load of so much of what the replicas can do."""
    arrivals_s = poisson(share * capacity_per_s(num_replicas), duration_s, seed)
    return [Asked(at_s, *lengths(seed, number)) for at_s, number in zip(arrivals_s, count(1))]


async def measured(server: Server, load: Sequence[Asked], seed: int) -> list[Answered]:
    """Put a load to the service; it raises where one is not answered."""
    callers = Callers.of(server, seed)
    await next(iter(callers.clients.values())).check()
    run = await open_loop(callers.ask, iter([one.at_s for one in load]), count(1))
    callers.close()
    outcomes = sorted(run.outcomes, key=lambda one: one.due_s)
    if failed := [one.error for one in outcomes if not one.is_whole]:
        raise SystemExit(f"{len(failed)} requests failed: {failed[:3]}")
    return [
        Answered(one, 0.0, outcome.ttft_s, outcome.e2e_s)
        for one, outcome in zip(load, outcomes, strict=True)
    ]


def tails(answered: Sequence[Answered]) -> list[float]:
    """p50 and p95 to the first token, then to the end."""
    figures = ([one.ttft_s for one in answered], [one.e2e_s for one in answered])
    return [float(np.percentile(one, share)) for one in figures for share in (50, 95)]


def tell(what: str, load: str, number: int, figures: Sequence[float]) -> None:
    """Log a row."""
    log.add(TABLE, what, load, f"{number}", *(f"{figure:.2f}" for figure in figures))


async def held_against(server: Server) -> Service:
    """Fit the model to one load, log what it says of another and what was so."""
    first = await measured(server, asked(FITTED_TO, NUM_REPLICAS, DURATION_S, 1), 1)
    service = fitted(first, NUM_REPLICAS, NUM_SEQS)
    print(service)
    for seed, share in ((1, FITTED_TO), (2, HELD_AGAINST)):
        load = asked(share, NUM_REPLICAS, DURATION_S, seed)
        seen = first if seed == 1 else await measured(server, load, seed)
        told, is_so = tails(simulate(load, NUM_REPLICAS, service)), tails(seen)
        tell("2, measured", f"{share:.0%}", len(load), is_so)
        tell("2, modelled", f"{share:.0%}", len(load), told)
        print("off by", *(f"{a / b - 1:+.0%}" for a, b in zip(told, is_so, strict=True)))
    return service


def of_many(service: Service) -> None:
    """Log what the model says of two nodes and of a hundred, at the same load of each."""
    for share in (0.8, 0.95, 0.99):
        for nodes in (NUM_REPLICAS, NODES):
            load = asked(share, nodes, MODELLED_S, 3)
            answered = simulate(load, nodes, service)
            tell(f"{nodes}, modelled", f"{share:.0%}", len(load), tails(answered))


def main() -> None:
    """Measure, fit, predict, and log all of it."""
    os.environ |= {"CANTEEN_RAY": "local", "CANTEEN_EMBEDDER": "echo-embed"}
    for bound in ("MIN", "MAX"):
        os.environ[f"CANTEEN_RAY_{bound}_REPLICAS"] = f"{NUM_REPLICAS}"
    speeds = {"tokens_per_s": TOKENS_PER_S, "prefill_tokens_per_s": PREFILL_TOKENS_PER_S}
    with echo(NUM_SEQS, **speeds) as server:
        service = asyncio.run(held_against(server))
    of_many(service)


if __name__ == "__main__":
    main()
