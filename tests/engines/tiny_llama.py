"""A language model of two layers with random weights, whose answers are letters and spaces."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

NUM_LAYERS, HIDDEN, HEADS, HEAD, INNER = 2, 128, 2, 64, 256
CONTEXT_LENGTH = 2048
END, BEGIN = "<|end|>", "<|begin|>"
# More than there are tokens, as models have them for a round number.
VOCAB_SIZE = 272
SAID = "abcdefghijklmnopqrstuvwxyz "
TEMPLATE = (
    "{% for m in messages %}<|begin|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant\n{% endif %}"
)


def write(folder: Path) -> Path:
    """Write it as it would be published: config, tokenizer, weights."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB_SIZE,
        "hidden_size": HIDDEN,
        "num_hidden_layers": NUM_LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "intermediate_size": INNER,
        "max_position_embeddings": CONTEXT_LENGTH,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "bos_token_id": tokenizer.token_to_id(BEGIN),
        "eos_token_id": tokenizer.token_to_id(END),
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    save_file(_weights(tokenizer), folder / "model.safetensors", {"format": "pt"})
    return folder


def write_adapter(folder: Path, seed: int = 1, rank: int = 4) -> Path:
    """Write a LoRA adapter of it, with random matrices, as PEFT does."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(seed)
    sizes = {
        "self_attn.q_proj": (HEADS * HEAD, HIDDEN),
        "self_attn.v_proj": (HEAD, HIDDEN),
        "mlp.down_proj": (HIDDEN, INNER),
    }
    weights = {}
    for layer in range(NUM_LAYERS):
        for module, (num_out, num_in) in sizes.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            for end, shape in (("A", (rank, num_in)), ("B", (num_out, rank))):
                matrix = draw.standard_normal(shape).astype(np.float32) / 8
                weights[f"{name}.lora_{end}.weight"] = matrix
        # As in the model itself: it says nothing but letters and spaces.
        weights[f"{name}.lora_B.weight"][0] = 0
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": [module.rpartition(".")[2] for module in sizes],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def _tokenizer() -> Tokenizer:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={one: i for i, one in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([END, BEGIN])
    return made


def _weights(tokenizer: Tokenizer) -> dict[str, Any]:
    draw = np.random.default_rng(0)

    def matrix(rows: int, columns: int) -> Any:
        return (draw.standard_normal((rows, columns)) / columns**0.5).astype(np.float32)

    ones = np.ones(HIDDEN, np.float32)
    weights = {
        "model.embed_tokens.weight": matrix(VOCAB_SIZE, HIDDEN) * HIDDEN**0.5,
        "model.norm.weight": ones,
        "lm_head.weight": matrix(VOCAB_SIZE, HIDDEN) * 3,
    }
    for layer in range(NUM_LAYERS):
        prefix = f"model.layers.{layer}"
        weights |= {
            f"{prefix}.input_layernorm.weight": ones,
            f"{prefix}.self_attn.q_proj.weight": matrix(HEADS * HEAD, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": matrix(HEAD, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": matrix(HEAD, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD),
            f"{prefix}.post_attention_layernorm.weight": ones,
            f"{prefix}.mlp.gate_proj.weight": matrix(INNER, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": matrix(INNER, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": matrix(HIDDEN, INNER),
        }
        # No layer writes to the first feature, ...
        weights[f"{prefix}.self_attn.o_proj.weight"][0] = 0
        weights[f"{prefix}.mlp.down_proj.weight"][0] = 0
    # ... which is the same everywhere, and keeps the model from all but letters and spaces.
    weights["model.embed_tokens.weight"][:, 0] = 3
    said = {tokenizer.encode(letter).ids[0] for letter in SAID}
    unsaid = [token for token in range(VOCAB_SIZE) if token not in said]
    weights["lm_head.weight"][:, 0] = 0
    weights["lm_head.weight"][unsaid, 0] = -50
    return weights
