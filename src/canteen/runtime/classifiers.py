"""The classifiers that callers fit: a file each."""

import re
from pathlib import Path

import msgspec

from canteen.core.classifier import Classifier
from canteen.core.errors import ClassifierNotFound, InvalidRequest
from canteen.runtime import blobs

SUFFIX = ".json"
MAKE_ROOM = "remove classifiers or models"
# Made while the module is imported: msgspec's first use of a type is not safe in two threads.
_DECODER = msgspec.json.Decoder(Classifier)
_NAME = re.compile(r"[A-Za-z0-9][\w.\-]{0,63}", re.ASCII)


class ClassifierStore:
    """Files under `home`; safe to use from several processes at once."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "classifiers"

    def names(self) -> tuple[str, ...]:
        """Every classifier, by name."""
        stems = (path.stem for path in self._folder.glob(f"*{SUFFIX}"))
        return tuple(sorted(stem for stem in stems if _NAME.fullmatch(stem)))

    def get(self, name: str) -> Classifier:
        """A classifier; raises ClassifierNotFound."""
        try:
            return _DECODER.decode(self._path(name).read_bytes())
        except FileNotFoundError:
            raise ClassifierNotFound(name, self.names()) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise InvalidRequest(
                f"the file of classifier '{name}' is damaged; fit it again", param="classifier"
            ) from exc

    def put(self, classifier: Classifier) -> None:
        """Keep a classifier in place of one of the same name; raises StorageFull."""
        path = self._path(classifier.name)
        with blobs.full_disk_said(MAKE_ROOM):
            blobs.write_whole(path, msgspec.json.encode(classifier))

    def remove(self, name: str) -> None:
        """Forget a classifier; raises ClassifierNotFound."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            raise ClassifierNotFound(name, self.names()) from None

    def _path(self, name: str) -> Path:
        return self._folder / f"{checked(name)}{SUFFIX}"


def checked(name: str) -> str:
    """A name that can be a classifier's; raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "a classifier's name is 1 to 64 letters, digits, '.', '_' and '-', a letter or digit "
            "first",
            param="classifier",
        )
    return name
