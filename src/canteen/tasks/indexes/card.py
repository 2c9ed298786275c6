"""What an index is: its name, and the model that made its vectors; `index.json` on disk."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from uuid import uuid4

from canteen.core.errors import EngineError, InvalidRequest
from canteen.tasks.passages import CHARACTERS

SCHEMA = 1
FILE = "index.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class IndexCard:
    """`digest` is that of the embedding model; `id` tells two indexes of one name apart.

    `characters` and `overlap` are how its documents are cut into passages; `language` is that
    of the stems and stop words of its words.
    """

    name: str
    model: str
    digest: str
    dimensions: int
    created_at: str
    characters: int = CHARACTERS
    overlap: int = 0
    language: str = "English"
    id: str = field(default_factory=lambda: uuid4().hex)
    schema: int = SCHEMA

    def check_model(self, model: str, digest: str) -> None:
        """Raises InvalidRequest where the vectors of this model are not those of the index."""
        if digest != self.digest:
            raise InvalidRequest(
                f"index '{self.name}' was built with embedding model '{self.model}' "
                f"({_short(self.digest)}), and this is '{model}' ({_short(digest)}); use that "
                "model, or build the index anew",
                param="model",
                code="other_embedding_model",
            )


def checked_name(name: str) -> str:
    """The name; raises InvalidRequest for what could not be the name of a folder everywhere."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "the name of an index has from 1 to 64 letters, digits, '.', '_' and '-', and begins "
            "with a letter or digit",
            param="index",
        )
    return name


def write(folder: Path, card: IndexCard) -> None:
    """Write the card into a folder that nobody reads yet."""
    text = json.dumps(asdict(card), indent=1, ensure_ascii=False)
    folder.joinpath(FILE).write_text(text, encoding="utf-8")


def read(folder: Path) -> IndexCard | None:
    """The card of a folder; None where there is none. Raises EngineError for a damaged one."""
    try:
        found = json.loads(folder.joinpath(FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, RecursionError) as exc:
        raise _damaged(folder.name) from exc
    if not isinstance(found, Mapping) or not isinstance(found.get("schema"), int):
        raise _damaged(folder.name)
    if found["schema"] > SCHEMA:
        raise InvalidRequest(
            f"index '{folder.name}' was made by a newer Canteen; use that, or build it anew",
            param="index",
        )
    try:
        return IndexCard(**found)
    except TypeError as exc:
        raise _damaged(folder.name) from exc


def _damaged(name: str) -> EngineError:
    return EngineError(
        f"index '{name}' is damaged; remove it (canteen index rm {name}) and build it anew",
        code="damaged_index",
    )


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
