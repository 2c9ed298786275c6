"""The services behind `canteen quantize`: formats made, run, judged and forgotten."""

from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from itertools import count

from canteen.bootstrap import Services
from canteen.cli import evaluating, prepare, store
from canteen.cli.evaluating import Wish
from canteen.core.errors import EngineError, InvalidRequest, ModelNotFound
from canteen.core.footprint import Charge, new_receipt_id
from canteen.core.generation import GenerationRequest, SamplingParams, Usage
from canteen.core.model import ModelCard, full_name
from canteen.lifecycle.evaluate.examples import Dataset
from canteen.lifecycle.evaluate.runs import Run
from canteen.lifecycle.evaluate.statistics import Interval
from canteen.lifecycle.quantize.comparing import Sample
from canteen.lifecycle.quantize.formats import Format
from canteen.runtime import locks
from canteen.runtime.catalog import Catalog

FAMILY = "canteen-compare"
PROMPT_TOKENS, WRITTEN_TOKENS = 256, 64
# Of the model's name in those of its formats, in characters: those have their limit too.
LONGEST_NAME = 100
_SMALLEST_VOCABULARY = 200


@dataclass(slots=True)
class LocalBench:
    """Runs formats of a model on this machine; `close` forgets those made for this alone.

    It holds one of the numbers that names of such formats have, until it ends or is killed.
    """

    services: Services
    model: str
    dataset: Dataset | None = None
    made: dict[str, str] = field(default_factory=dict)
    number: str = field(init=False)
    lock: locks.Lock = field(init=False)

    def __post_init__(self) -> None:
        self.number, self.lock = _numbered(self.services.catalog)

    async def prepare(self, form: Format) -> ModelCard:
        """The model in a format, under a name of its own."""
        told = self.model.replace("/", "-").replace(":", "-")[:LONGEST_NAME]
        name = full_name(f"{FAMILY}/{self.number}/{told}:{form.name}")
        self.made[form.name] = name
        async with aclosing(prepare.prepared(self.services, self.model, name, form)) as steps:
            async for _ in steps:
                pass
        return self.services.catalog.get(name)

    async def load_bytes(self, card: ModelCard) -> int:
        """Resident memory of the worker just after loading; nothing else is loaded meanwhile."""
        await self.services.load(card.name)
        loaded = {one.card.name: one.load_bytes for one in await self.services.loaded()}
        await self.services.unload(card.name)
        return loaded.get(card.name, 0)

    async def sample(self, card: ModelCard, number: int) -> Sample:
        """One request of a prompt that no cache knows, answered alone; another one before, where
        the model has to be loaded: what that leaves cold is no part of a format's speed."""
        if card.name not in {one.card.name for one in await self.services.loaded()}:
            await self._answered(_request(card, -1))
        usage, charge = await self._answered(_request(card, number))
        if usage.completion_tokens < 2 or usage.prefill_s <= 0 or usage.decode_s <= 0:
            raise EngineError("the model wrote too little to be timed; try again")
        return Sample(
            usage.prompt_tokens / usage.prefill_s,
            (usage.completion_tokens - 1) / usage.decode_s,
            usage.completion_tokens,
            charge,
        )

    async def _answered(self, request: GenerationRequest) -> tuple[Usage, Charge]:
        usage = Usage()
        try:
            async with aclosing(self.services.generate(request)) as chunks:
                async for chunk in chunks:
                    usage = chunk.usage or usage
        finally:
            receipt = self.services.till.settle(request.receipt_id)
        return usage, Charge() if receipt is None else receipt.charge

    def joules(self, charge: Charge) -> Interval:
        """The energy of a charge, at the facility's boundary."""
        energy = self.services.accounting.rates.footprint(charge).energy.to("J")
        return Interval(energy.central, energy.low, energy.high)

    async def evaluate(self, card: ModelCard) -> Run:
        """Classification of the data set by label scores, with nothing else in memory."""
        if self.dataset is None:
            raise InvalidRequest("there is no data set to evaluate on", param="task")
        for one in await self.services.loaded():
            await self.services.unload(one.card.name)
        wish = Wish("classify", card.name, options={"method": "score"})
        return await evaluating.answered(self.services, wish, self.dataset, lambda: None)

    def keep(self, form: str, name: str) -> ModelCard:
        """Give what was made in a format a name that stays."""
        card = self.services.catalog.get(self.made[form])
        store.tell_kept(self.services.catalog.put(replace(card, name=full_name(name))))
        return self.services.catalog.get(name)

    async def close(self) -> None:
        """End the workers, and forget what was made for this comparison and for killed ones."""
        await self.services.close()
        self.lock.close()
        _forget(self.services.catalog)


def _numbered(catalog: Catalog) -> tuple[str, locks.Lock]:
    """The first number that no comparison holds, which is held now."""
    for number in map(str, count(1)):
        lock = locks.Lock(catalog.lock_path(f"{FAMILY}-{number}"))
        if lock.take():
            return number, lock
        lock.close()
    raise AssertionError("numbers do not end")


def _forget(catalog: Catalog) -> None:
    """Remove the names of comparisons that are over."""
    for card in catalog.list():
        family, _, rest = card.name.partition("/")
        if family != FAMILY:
            continue
        with locks.try_locked(catalog.lock_path(f"{FAMILY}-{rest.split('/')[0]}")) as is_over:
            if is_over:
                # Another comparison that ends now may have been faster.
                with suppress(ModelNotFound):
                    catalog.remove(card.name)


def _request(card: ModelCard, number: int) -> GenerationRequest:
    """A prompt and an answer of usual lengths, or what of them a small context holds."""
    room = card.context_length or PROMPT_TOKENS + WRITTEN_TOKENS
    tokens = tuple(
        10 + (number * 31 + 7919 * place * place) % _SMALLEST_VOCABULARY
        for place in range(min(PROMPT_TOKENS, room // 2))
    )
    return GenerationRequest(
        f"quantize-{number}",
        card.name,
        prompt_tokens=tokens,
        sampling=SamplingParams(
            max_tokens=min(WRITTEN_TOKENS, room // 4), temperature=0.0, ignore_eos=True
        ),
        receipt_id=new_receipt_id(),
        operation="quantize",
    )
