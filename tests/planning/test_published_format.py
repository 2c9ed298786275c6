"""The format of published weights: what a config.json says of it."""

from typing import Any

import pytest

from canteen.core.errors import InvalidRequest
from canteen.planning.published_format import published_format
from canteen.planning.subject import of_config, of_name
from tests.planning.shapes import LLAMA_3_8B

GROUP = {"type": "int", "num_bits": 4, "group_size": 128}


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, "gptq"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, "gptq_8bit"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8"),
        ({"quant_method": "mxfp4"}, "mxfp4_moe"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4"),
        ({"quant_method": "bitsandbytes", "bnb_4bit_use_double_quant": True}, "nf4_dq"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bnb_8bit"),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": GROUP}}},
            "gptq",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"type": "float", "num_bits": 8}}},
            },
            "fp8",
        ),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8"),
    ],
)
def test_weights_are_planned_in_the_format_that_they_are_published_in(
    told: dict[str, Any], name: str
) -> None:
    subject = of_config(LLAMA_3_8B | {"quantization_config": told}, "config.json")

    assert subject.usual == name
    assert subject.weights_in(None).num_bytes < 1.1e10
    assert not subject.weights_in(None).is_exact or name.startswith(("nf4", "mxfp4"))


def test_weights_that_are_not_quantized_have_their_type() -> None:
    assert published_format({"torch_dtype": "float32"}) == "f32"
    assert published_format({"dtype": "torch.float16"}) == "f16"
    assert published_format({}) == "bf16"


def test_an_unknown_quantization_is_refused_unless_another_is_asked_for() -> None:
    told = {"quantization_config": {"quant_method": "aqlm"}}
    subject = of_config(LLAMA_3_8B | told, "config.json")

    with pytest.raises(InvalidRequest, match="no weight format 'aqlm'"):
        subject.format(None)
    assert subject.format("bf16").name == "bf16"


def test_deepseek_v3_is_planned_in_the_8_bits_that_it_is_published_in() -> None:
    weights = of_name("deepseek-v3", {}).weights_in(None)

    assert weights.num_bytes == pytest.approx(673e9, rel=0.01)
