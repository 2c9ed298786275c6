"""Grammars for llama.cpp, which drops one that does not compile without a word."""

import json
import re
import threading
from collections import OrderedDict

from canteen.core.errors import InvalidRequest
from canteen.core.generation import Grammar
from canteen.engines.llamacpp_server import Body, LlamaServer

MOST_KNOWN = 256
# A grammar is tried behind a mark, which nothing but a grammar in force makes a model write.
MARK = "~"
# Freedom of white space is all that a small model needs to write blanks until the limit.
COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_SLASH = re.compile(r"(\\.)|/", re.DOTALL)
# What a vocabulary must be able to write, and can write in one way only.
SELF_TEST = {"a b": ['say "\\é"', 7]}


def grammar_text(grammar: Grammar, before: str = "") -> str:
    """The grammar in llguidance's words, after the text `before`."""
    start = f"start: {json.dumps(before)} value" if before else "start: value"
    return f"%llguidance {{}}\n{start}\nvalue: {_value(grammar)}\n"


def tokens_grammar(token_ids: list[int]) -> str:
    """The grammar of these very tokens, in llama.cpp's own words."""
    return "root ::= " + " ".join(f"<[{token}]>" for token in token_ids)


def _value(grammar: Grammar) -> str:
    if grammar.kind == "regex":
        return f"/{_regex(grammar.value)}/"
    schema = {"type": "object"} if grammar.kind == "json_object" else json.loads(grammar.value)
    return f"%json {json.dumps({**schema, 'x-guidance': COMPACT})}"


def _regex(pattern: str) -> str:
    """The pattern as it stands between slashes on one line; it is to match the whole text."""
    whole = pattern.removeprefix("^")
    if whole.endswith("$") and not whole.endswith("\\$"):
        whole = whole[:-1]
    return _SLASH.sub(lambda found: found[1] or r"\/", whole).replace("\n", r"\n")


class GrammarTrial:
    """Finds out whether a grammar compiles, by a token that only it can bring about."""

    def __init__(self, server: LlamaServer, prompt: list[int]) -> None:
        self._server = server
        self._prompt = prompt
        self._lock = threading.Lock()
        self._known: OrderedDict[Grammar, None] = OrderedDict()

    def works(self) -> bool:
        """Whether grammars work with this vocabulary at all, those that do not compile are seen,
        and what is written is what the grammar says."""
        grammar = Grammar("json_schema", json.dumps({"const": SELF_TEST}))
        try:
            self.check(grammar)
            told = self._write(grammar_text(grammar), 64)
            return json.loads(told) == SELF_TEST and not self._write(None, 1).startswith(MARK)
        except (InvalidRequest, ValueError):
            return False

    def check(self, grammar: Grammar) -> None:
        """Raise InvalidRequest for a grammar that does not compile; takes a step of the model."""
        with self._lock:
            if grammar in self._known:
                self._known.move_to_end(grammar)
                return
        # The token may go on into what follows.
        if not self._write(grammar_text(grammar, MARK), 1).startswith(MARK):
            raise InvalidRequest(
                "the schema or pattern cannot be compiled to a grammar; use plain JSON Schema "
                "types and regular expressions without look-around",
                param="response_format",
            )
        with self._lock:
            self._known[grammar] = None
            if len(self._known) > MOST_KNOWN:
                self._known.popitem(last=False)

    def _write(self, grammar: str | None, num_tokens: int) -> str:
        body: Body = {"prompt": self._prompt, "n_predict": num_tokens, "temperature": 0}
        if grammar is not None:
            body = {**body, "grammar": grammar}
        return str(self._server.complete(body)["choices"][0]["text"])
