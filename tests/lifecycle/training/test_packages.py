"""What is not installed is told before anything begins."""

from typing import Any

import pytest

from canteen.core.errors import NotSupported
from canteen.lifecycle.training import packages
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
        packages.check(spec, without(*missing))


def test_what_is_not_needed_may_be_missing() -> None:
    packages.check(Finetune(method="full"), without("peft", "bitsandbytes"))
    packages.check(Train(), without("peft"))
    packages.check(Finetune(method="qlora"), without())
