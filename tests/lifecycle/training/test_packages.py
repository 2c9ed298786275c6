"""What is not installed is told before anything begins."""

from typing import Any

import pytest

from canteen.core.errors import NotSupported
from canteen.lifecycle.training import hardware, packages
from canteen.lifecycle.training.specs import Finetune, Train


def without(*missing: str) -> Any:
    """Finds every package but these."""
    return lambda name: None if name in missing else name


@pytest.mark.parametrize(
    ("spec", "missing", "said"),
    [
        (
            Finetune(),
            ("torch", "peft"),
            r"needs torch, peft: .*pip install -c constraints.txt -e '\.\[train\]'",
        ),
        (Train(), ("accelerate",), "needs accelerate: .*pip install"),
        (Finetune(method="qlora"), ("bitsandbytes",), "needs bitsandbytes: .* take lora"),
        (Finetune(method="qlora", device="cpu"), (), "take lora"),
    ],
)
def test_what_is_missing_is_told_with_what_to_install(
    spec: Any, missing: tuple[str, ...], said: str
) -> None:
    with pytest.raises(NotSupported, match=said):
        packages.check(spec, without(*missing), has_cuda=lambda: True)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Finetune(device="cuda"), "no CUDA device here that torch can use; leave device at auto"),
        (Train(device="cuda"), "no CUDA device here that torch can use"),
        (Finetune(method="qlora"), "qlora needs a CUDA device .* take lora"),
    ],
)
def test_a_cuda_device_that_is_not_there_is_told_before_anything_begins(
    spec: Any, said: str
) -> None:
    with pytest.raises(NotSupported, match=said):
        packages.check(spec, without(), has_cuda=lambda: False)


def test_the_driver_tells_what_torch_finds() -> None:
    import torch

    assert hardware.has_cuda() == torch.cuda.is_available()


def test_what_is_not_needed_may_be_missing() -> None:
    packages.check(Finetune(method="full"), without("peft", "bitsandbytes"))
    packages.check(Train(), without("peft"))
    packages.check(Finetune(method="qlora"), without(), has_cuda=lambda: True)
    packages.check(Train(device="cuda"), without(), has_cuda=lambda: True)
