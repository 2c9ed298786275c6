"""A model trained here, as a GGUF file that is prepared like any other."""

import json
from pathlib import Path
from typing import Any

from canteen.lifecycle.training.tokenizer import CHAT_TEMPLATE, END_ID, PRE_TOKENIZER, SPECIAL
from canteen.lifecycle.training.weights import Tensors

FILE_TYPE_F16 = 1


def write(model: Any, tokenizer: Any, path: Path, name: str) -> None:
    """Write a `LlamaForCausalLM` with tied embeddings and its `tokenizers.Tokenizer`.

    Matrices are in F16, vectors in F32. `path` is there whole or not at all.
    """
    import numpy as np
    from gguf import GGUFWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    writer = GGUFWriter(part, "llama")
    writer.add_name(name)
    _add_shape(writer, model.config)
    _add_vocabulary(writer, tokenizer)
    for key, values in Tensors(model).items():
        # Embeddings are tied: it is they.
        if key != "output.weight":
            writer.add_tensor(key, values.astype(np.float16 if values.ndim > 1 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def _add_shape(writer: Any, config: Any) -> None:
    writer.add_file_type(FILE_TYPE_F16)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)


def _add_vocabulary(writer: Any, tokenizer: Any) -> None:
    from gguf import TokenType

    told = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(told["vocab"], key=told["vocab"].__getitem__)
    kinds = [TokenType.CONTROL if one in SPECIAL else TokenType.NORMAL for one in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in told["merges"]])
    writer.add_bos_token_id(END_ID)
    writer.add_eos_token_id(END_ID)
    writer.add_unk_token_id(END_ID)
    writer.add_pad_token_id(END_ID)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
