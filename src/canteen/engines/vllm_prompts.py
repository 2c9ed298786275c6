"""Prompts for vLLM: the tokenizer of a prepared folder, and the bytes of its tokens."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from canteen.engines import chat_template
from canteen.engines.detokenizing import SAMPLE, Vocabulary
from canteen.engines.prompts import Prompts, about


class VllmPrompts(Prompts):
    """Prompts of a prepared folder; safe to be used by several threads."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        told = about(folder)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self.vocabulary = Vocabulary.of_folder(folder, told, tokenizer.decode)
        ends = told["eos_token_ids"]
        marks = {"bos_token": told["bos_token_id"], "eos_token": ends[0] if ends else None}
        texts = {
            name: self.vocabulary.tokens[token_id].decode()
            for name, token_id in marks.items()
            if token_id is not None
        }
        super().__init__(_Tokenizer(tokenizer, texts), told, self.vocabulary.longest)
        self.vocabulary.check(self.encoded(SAMPLE))


class _Tokenizer:
    """The library's tokenizer, as a Tokenizer; templates are given the texts of its marks."""

    def __init__(self, tokenizer: Any, marks: Mapping[str, str]) -> None:
        self._tokenizer = tokenizer
        self._marks = marks

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def apply(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        template: str,
    ) -> str:
        values = {"messages": messages, "tools": tools, "add_generation_prompt": True}
        return chat_template.applied(template, {**values, **self._marks})
