"""LoRA adapters as models of their own, which the worker of the model that they go on serves."""

from dataclasses import asdict, replace

from canteen.core.errors import InvalidRequest, ModelNotFound, ModelUnsuitable
from canteen.core.model import Adapter, ModelCard, full_name
from canteen.runtime import blobs
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Change, Form, like

# What puts an adapter on for a single request; echo does as if.
ENGINES = ("vllm", "echo")


def wanted(catalog: Catalog, base: str, name: str) -> tuple[Form, Change]:
    """How an adapter of the model `base` is prepared, and the card it gets as `name`.

    Raises ModelNotFound, InvalidRequest, and ModelUnsuitable for a model that takes none.
    """
    model = catalog.get(base)
    if model.adapter:
        raise ModelUnsuitable(
            f"'{model.name}' is an adapter itself; name its model, {model.adapter['base']}"
        )
    if model.engine != "vllm":
        raise ModelUnsuitable(
            f"'{model.name}' is run by the {model.engine} engine, and only vllm puts adapters on "
            "for each request; on a GGUF file, canteen pull SOURCE --adapter FILE puts one on at "
            "loading"
        )
    if full_name(name) == model.name:
        raise InvalidRequest("the adapter needs a name other than its model's; say --name NAME")

    def card(of_files: ModelCard) -> ModelCard:
        adapter = Adapter(model.name, model.digest, of_files.metadata["lora.rank"])
        return replace(like(model, of_files), adapter=asdict(adapter))

    form = Form(
        f"on-{blobs.short(model.digest)}", ("--adapter-of", str(catalog.path(model).absolute()))
    )
    return form, card


def base_of(catalog: Catalog, card: ModelCard) -> ModelCard:
    """The model that an adapter goes on; raises ModelUnsuitable where its name is gone, or holds
    other weights by now."""
    adapter = Adapter(**card.adapter)
    try:
        base = catalog.get(adapter.base)
    except ModelNotFound:
        raise _without_base(card, "is not in the store any more") from None
    if base.digest != adapter.base_digest:
        raise _without_base(card, "holds other weights now")
    if base.engine not in ENGINES:
        raise _without_base(card, f"is run by the {base.engine} engine, which takes no adapters")
    return base


def ranks(catalog: Catalog, base: ModelCard) -> list[int]:
    """The ranks of all adapters of a model."""
    found = [one.adapter for one in catalog.list() if one.adapter]
    return [adapter["rank"] for adapter in found if adapter["base_digest"] == base.digest]


def _without_base(card: ModelCard, why: str) -> ModelUnsuitable:
    return ModelUnsuitable(
        f"'{card.name}' is an adapter of '{card.adapter['base']}', which {why}; pull the adapter "
        "again, with --adapter-of MODEL",
        param="model",
    )
