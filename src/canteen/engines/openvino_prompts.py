"""Prompts for OpenVINO GenAI: its tokenizer, and the vocabulary of a prepared folder."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from canteen.engines.detokenizing import SAMPLE, Vocabulary
from canteen.engines.prompts import Prompts, about

# The tokenizer's own limit, which would cut a prompt without a word, is lifted by this.
NO_LIMIT = 2**31 - 1


class OpenVinoPrompts(Prompts):
    """Prompts of a prepared folder, which has the bytes of its tokens too."""

    def __init__(self, tokenizer: Any, folder: Path) -> None:
        told = about(folder)
        self.vocabulary = Vocabulary.of_folder(folder, told, tokenizer.decode)
        super().__init__(_Tokenizer(tokenizer), told, self.vocabulary.longest)
        self.vocabulary.check(self.encoded(SAMPLE))


class _Tokenizer:
    """The library's tokenizer, as a Tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        encoded = self._tokenizer.encode(text, add_special_tokens=False, max_length=NO_LIMIT)
        ids: list[int] = encoded.input_ids.data[0].tolist()
        return ids

    def apply(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        template: str,
    ) -> str:
        apply: Callable[..., str] = self._tokenizer.apply_chat_template
        try:
            return apply(messages, add_generation_prompt=True, chat_template=template, tools=tools)
        except RuntimeError as exc:
            raise ValueError("the library refuses the template") from exc
