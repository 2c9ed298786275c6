"""A corpus: whole works, some to learn from and others to validate on."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.training import texts
from canteen.lifecycle.training.specs import Train
from canteen.lifecycle.training.texts import BUILT_IN, Work

SUFFIXES = (".txt", ".md", ".rst")
# What a byte-level tokenizer of a few thousand tokens makes of English.
CHARACTERS_PER_TOKEN = 3.5
# A token that is worth having is seen more than a few times.
CHARACTERS_PER_ENTRY = 20
HELD_OUT_SHARE = 0.05


@dataclass(frozen=True)
class Corpus:
    """What is learned from and what is validated on; no work is in both."""

    train: tuple[Work, ...]
    validation: tuple[Work, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all works, in order."""
        together = hashlib.sha256()
        for work in (*self.train, *self.validation):
            together.update(bytes.fromhex(_digest(work)))
        return f"sha256:{together.hexdigest()}"

    @property
    def num_characters(self) -> int:
        return sum(len(work.text) for work in self.train)

    def num_tokens(self, spec: Train) -> int:
        """Tokens that a training reads, about; exact where the specification tells them."""
        step = spec.batch_size * spec.accumulate * spec.context_length
        tokens = spec.tokens or round(spec.epochs * self.num_characters / CHARACTERS_PER_TOKEN)
        return min(tokens, spec.max_steps * step) if spec.max_steps else tokens


def checked(spec: Train, home: Path) -> Corpus:
    """The works of a specification, read whole; built-in ones are fetched to `home`.

    Raises InvalidRequest for what cannot be learned from, EngineError where a package cannot
    be had.
    """
    if not spec.corpus:
        raise InvalidRequest(
            f"there is no corpus; name files, folders or one of {', '.join(texts.NAMES)}",
            param="corpus",
        )
    works = [work for one in spec.corpus for work in _works(one, home)]
    names = spec.held_out or _own_held_out(spec.corpus) or _by_hash(works)
    held_out = _by_text(work for name in names for work in _named(name, works))
    rest = _by_text(work for work in works if work.text not in held_out)
    corpus = Corpus(tuple(rest.values()), tuple(held_out.values()))
    _refuse_too_small(corpus, spec)
    return corpus


def keep(works: Corpus, path: Path) -> None:
    """Write the works into a file, so that what is learned from stays as it was checked."""
    with path.open("w", encoding="utf-8") as file:
        for part in ("train", "validation"):
            for work in getattr(works, part):
                line = {"part": part, "title": work.title, "text": work.text}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")


def kept(path: Path) -> Corpus:
    """The works that `keep` wrote."""
    parts: dict[str, list[Work]] = {"train": [], "validation": []}
    with path.open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            parts[line["part"]].append(Work(line["title"], line["text"]))
    return Corpus(tuple(parts["train"]), tuple(parts["validation"]))


def _works(name: str, home: Path) -> Sequence[Work]:
    if name in BUILT_IN:
        return texts.load(name, home)
    path = Path(name)
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if _is_text(one.relative_to(path)))
        if not files:
            raise InvalidRequest(
                f"the folder '{name}' has no text files ({', '.join(SUFFIXES)})", param="corpus"
            )
        return [_read(one, one.relative_to(path).as_posix()) for one in files]
    if path.is_file():
        return [_read(path, path.name)]
    raise InvalidRequest(
        f"no text '{name}'; give a file, a folder or one of {', '.join(texts.NAMES)}",
        param="corpus",
    )


def _is_text(inside: Path) -> bool:
    """Whether a file of a folder is meant; what is hidden is not."""
    is_hidden = any(part.startswith(".") for part in inside.parts)
    return inside.suffix.lower() in SUFFIXES and not is_hidden


def _read(path: Path, title: str) -> Work:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidRequest(
            f"'{title}' is not in UTF-8 (byte {exc.start}); convert it, or leave it out",
            param="corpus",
        ) from exc
    except OSError as exc:
        raise InvalidRequest(f"'{title}' cannot be read: {exc.strerror}", param="corpus") from exc
    if not text.strip():
        raise InvalidRequest(f"'{title}' is empty; leave it out", param="corpus")
    return Work(title, text)


def _by_text(works: Iterable[Work]) -> dict[str, Work]:
    """The works, one of each text: a copy would be learned from and validated on."""
    found: dict[str, Work] = {}
    for work in works:
        found.setdefault(work.text, work)
    return found


def _own_held_out(corpus: Sequence[str]) -> list[str]:
    return [title for name in corpus if name in BUILT_IN for title in BUILT_IN[name].held_out]


def _by_hash(works: Sequence[Work]) -> list[str]:
    """A twentieth of the works, one at least, chosen by what is in them."""
    alone = _by_text(works).values()
    if len(alone) == 1:
        raise InvalidRequest(
            "the corpus is one work, and none is left to validate on; give another file",
            param="corpus",
        )
    return [work.title for work in sorted(alone, key=_digest)][: _share(len(alone))]


def _share(number: int) -> int:
    return max(1, round(number * HELD_OUT_SHARE))


def _named(name: str, works: Sequence[Work]) -> Iterator[Work]:
    wanted = Path(name).name.casefold()
    found = [work for work in works if wanted in _names(work)]
    if not found:
        raise InvalidRequest(
            f"no work of the corpus is called '{name}'; among them are "
            f"{', '.join(work.title for work in works[:10])}",
            param="held_out",
        )
    yield from found


def _names(work: Work) -> tuple[str, ...]:
    """What a work goes by: its title, and a file's name without folder or suffix."""
    path = Path(work.title.casefold())
    return work.title.casefold(), path.name, path.stem


def _refuse_too_small(corpus: Corpus, spec: Train) -> None:
    if not corpus.train:
        raise InvalidRequest("every work is held out; leave some to learn from", param="held_out")
    needed = spec.vocab_size * CHARACTERS_PER_ENTRY
    if corpus.num_characters < needed:
        raise InvalidRequest(
            f"a vocabulary of {spec.vocab_size:,} tokens needs {needed:,} characters of text, and "
            f"there are {corpus.num_characters:,}; give more text, or a smaller vocab_size",
            param="vocab_size",
        )
    if all(len(work.text) < 2 for work in corpus.validation):
        raise InvalidRequest("the works held out have no text to speak of", param="held_out")


def _digest(work: Work) -> str:
    return hashlib.sha256(work.text.encode()).hexdigest()
