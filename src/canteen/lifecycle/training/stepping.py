"""One step of training: passes forward and back, and the change of the weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.errors import EngineError
from canteen.lifecycle.training.batches import NO_LOSS, Batch

MAX_GRADIENT_NORM = 1.0
BETAS = (0.9, 0.95)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """On what a model is trained: `device` is cpu or cuda, `dtype` torch's of the passes."""

    device: str
    dtype: Any
    compile: bool = False


class Stepper:
    """Holds the model, its optimizer and, where several processes train it, their bond."""

    def __init__(self, model: Any, arithmetic: Arithmetic, weight_decay: float) -> None:
        from accelerate import Accelerator

        self._bond = Accelerator(cpu=arithmetic.device == "cpu")
        self._arithmetic = arithmetic
        self._model, self._optimizer = self._bond.prepare(model, optimizer_for(model, weight_decay))
        self._forward = _compiled(self._model) if arithmetic.compile else self._model
        self._trainable = [p for p in self._model.parameters() if p.requires_grad]
        named = model.named_parameters(remove_duplicate=False)
        self._learned = {name for name, one in model.named_parameters() if one.requires_grad}
        self._frozen = {name for name, weight in named if not weight.requires_grad}

    @property
    def share(self) -> tuple[int, int]:
        """This process's number and how many there are: each takes its part of a step."""
        return self._bond.process_index, self._bond.num_processes

    @property
    def flops_per_token(self) -> float:
        """Operations of a step per token: 2 forward a weight, 2 back, 2 more if it is trained."""
        sizes = ((w.numel(), w.requires_grad) for w in self._model.parameters())
        return sum(float(size * (6 if trained else 4)) for size, trained in sizes)

    @property
    def device(self) -> str:
        """Where batches are to lie."""
        return str(self._bond.device)

    def step(self, batches: Sequence[Batch], rate: float, seed: int) -> tuple[float, float, int]:
        """Learn from the batches together; returns loss, norm of the gradient and tokens read.

        The loss is the mean over all targets of all processes. The weights stay as they were
        where loss or norm is no number. `seed` makes what is random a matter of the step alone.
        """
        import torch

        torch.manual_seed(seed)
        self._model.train()
        targets = self._total(sum(batch.num_targets for batch in batches))
        # Processes' gradients are averaged; the loss is to be that of all targets together.
        share = self._bond.num_processes / max(1, targets)
        loss = torch.zeros((), device=self._bond.device)
        for batch in batches:
            part = self._loss(self._forward, batch) * share
            self._bond.backward(part)
            loss += part.detach()
        norm = self._bond.clip_grad_norm_(self._trainable, MAX_GRADIENT_NORM)
        loss = self._bond.reduce(loss, "mean").item()
        if torch.isfinite(norm):
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
        self._optimizer.zero_grad()
        return loss, float(norm), self._total(sum(batch.num_tokens for batch in batches))

    def mean_loss(self, batches: Iterable[Batch]) -> float:
        """The loss over all targets of the batches, without learning from them."""
        import torch

        self._model.eval()
        total, targets = 0.0, 0
        with torch.no_grad():
            for batch in batches:
                total += self._loss(self._model, batch).item()
                targets += batch.num_targets
        return total / max(1, targets)

    def _loss(self, forward: Any, batch: Batch) -> Any:
        """The sum of the losses of a batch's targets."""
        import torch

        keep = batch.targets.shape[1] + 1
        dtype = self._arithmetic.dtype
        with torch.autocast(self._bond.device.type, dtype, enabled=dtype != torch.float32):
            logits = forward(
                input_ids=batch.input_ids,
                attention_mask=batch.mask,
                use_cache=False,
                logits_to_keep=keep,
            ).logits
        return torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(),
            batch.targets.flatten(),
            ignore_index=NO_LOSS,
            reduction="sum",
        )

    def _total(self, count: int) -> int:
        if self._bond.num_processes == 1:
            return count
        import torch

        shared = self._bond.reduce(torch.tensor(count, device=self._bond.device), "sum")
        return int(shared.item())

    def is_finite(self) -> bool:
        """Whether all weights that are trained are numbers."""
        import torch

        return all(bool(torch.isfinite(weight).all()) for weight in self._trainable)

    def state(self) -> dict[str, Any]:
        """Trained weights and the optimizer's state, whole, however many processes hold them."""
        from torch.distributed.checkpoint.state_dict import get_state_dict

        weights, optimizer = get_state_dict(
            self._model, self._optimizer.optimizer, options=_whole()
        )
        # Torch leaves out what is frozen, but not where it goes by a second name.
        trained = {name: weights[name] for name in weights if name not in self._frozen}
        return {"weights": trained, "optimizer": optimizer}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned; raises EngineError where weights are not in it."""
        from torch.distributed.checkpoint.state_dict import set_state_dict

        self._check_whole(state)
        set_state_dict(
            self._model,
            self._optimizer.optimizer,
            model_state_dict=state["weights"],
            optim_state_dict=state["optimizer"],
            options=_whole(),
        )

    def load_weights(self, state: dict[str, Any]) -> None:
        """Take the weights only; raises EngineError where some are not there."""
        from torch.distributed.checkpoint.state_dict import set_model_state_dict

        self._check_whole(state)
        set_model_state_dict(self._model, state["weights"], options=_whole())

    def _check_whole(self, state: dict[str, Any]) -> None:
        """Torch leaves what it finds no weights for as it was, and goes on."""
        if lost := sorted(self._learned - state["weights"].keys()):
            raise EngineError(
                f"the checkpoint lacks {len(lost)} of the weights that are trained, such as "
                f"{lost[0]}; it is of another model, so begin anew"
            )


def optimizer_for(model: Any, weight_decay: float) -> Any:
    """AdamW over what is trained; only matrices decay."""
    import torch

    weights = [weight for weight in model.parameters() if weight.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=0.0, betas=BETAS, fused=True
    )


def _compiled(model: Any) -> Any:
    import torch

    return torch.compile(model)


def _whole() -> Any:
    from torch.distributed.checkpoint.state_dict import StateDictOptions

    return StateDictOptions(
        full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False
    )
