"""Chats as tokens to learn from: the model's own template, and a loss on answers only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from canteen.core.errors import InvalidRequest, ModelUnsuitable
from canteen.lifecycle.lines import MOST_TOLD, in_ranges
from canteen.lifecycle.training.batches import NO_LOSS


@dataclass(frozen=True, slots=True)
class Reader:
    """Turns chats into token ids and labels with a transformers tokenizer.

    `end_token_ids` end an answer, the model's own end first; `begins` precede every chat.
    """

    tokenizer: Any
    end_token_ids: Sequence[int]
    begins: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not self.tokenizer.chat_template:
            raise ModelUnsuitable(
                "the model has no chat template, so it cannot learn from chats; "
                "start from a model that is made for chats"
            )

    def example(self, line: Mapping[str, Any]) -> dict[str, list[int]]:
        """Tokens of the `messages` and of their `completion`, with its end.

        Only the completion is to be learnt, unless the line says `learn: all`: then every
        answer among the messages is, too.
        """
        ids: list[int] = []
        labels: list[int] = []
        for text, is_answer in self._pieces(line):
            new = self._encoded(text)
            if not ids and list(self.begins) != new[: len(self.begins)]:
                new = [*self.begins, *new]
            learnt = self._until_end(new) if is_answer else 0
            ids += new
            labels += new[:learnt] + [NO_LOSS] * (len(new) - learnt)
        # What follows the last answer's end is never written by the model.
        last = max(i for i, label in enumerate(labels) if label != NO_LOSS) + 1
        if ids[last - 1] not in self.end_token_ids:
            end = self.end_token_ids[0]
            return {"input_ids": [*ids[:last], end], "labels": [*labels[:last], end]}
        return {"input_ids": ids[:last], "labels": labels[:last]}

    def prompt(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Tokens after which the model answers."""
        ids = self._encoded(self._rendered(messages, True))
        begins = list(self.begins)
        return ids if ids[: len(begins)] == begins else begins + ids

    def _pieces(self, line: Mapping[str, Any]) -> list[tuple[str, bool]]:
        """The chat as texts, and which of them are answers to learn."""
        answer = {"role": "assistant", "content": line["completion"]}
        chat = [*line["messages"], answer]
        turns = [len(chat) - 1]
        if line.get("learn") == "all":
            turns = [i for i, one in enumerate(chat) if one["role"] == "assistant" and i]
        pieces: list[tuple[str, bool]] = []
        done = ""
        for turn in turns:
            before = self._rendered(chat[:turn], True)
            after = self._rendered(chat[: turn + 1], False)
            if not before.startswith(done) or not after.startswith(before):
                # The template rewrites what was said before: only the last answer is as served.
                return [(self._rendered(chat[:-1], True), False), (line["completion"], True)]
            pieces += [(before[len(done) :], False), (after[len(before) :], True)]
            done = after
        return pieces

    def _until_end(self, ids: Sequence[int]) -> int:
        """How many of an answer's tokens the model is to write: to the end, and with it."""
        ends = (i + 1 for i, token in enumerate(ids) if token in self.end_token_ids)
        return next(ends, len(ids))

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _rendered(self, messages: Sequence[Mapping[str, str]], asks: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=asks
        )
        return text


def within(
    examples: Sequence[dict[str, Any]], context_length: int, too_long: str
) -> list[dict[str, Any]]:
    """The examples of at most `context_length` tokens; each has its `part` and its `place`, the
    number of its line.

    Raises InvalidRequest that tells the others, unless `too_long` is drop, or if none of a part
    is left.
    """
    kept = [one for one in examples if len(one["input_ids"]) <= context_length]
    if len(kept) == len(examples) or (too_long == "drop" and _parts(kept) == _parts(examples)):
        return kept
    lengths = sorted((one["place"], len(one["input_ids"])) for one in examples)
    long = [(place, length) for place, length in lengths if length > context_length]
    told = ", ".join(f"line {place} ({length:,})" for place, length in long[:MOST_TOLD])
    rest = in_ranges(place for place, _ in long[MOST_TOLD:])
    raise InvalidRequest(
        f"{_examples(len(long))} more than {context_length:,} tokens: {told}"
        f"{f', and the lines {rest}' if rest else ''}; shorten them, "
        "raise context_length, or set too_long to drop",
        param="context_length",
    )


def _examples(num: int) -> str:
    return "1 example has" if num == 1 else f"{num:,} examples have"


def _parts(examples: Sequence[Mapping[str, Any]]) -> set[str]:
    return {one["part"] for one in examples}
