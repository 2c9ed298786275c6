"""What an operator does in the shell, on the record of the audit, where one is kept."""

import getpass
from collections.abc import Sequence

from canteen.cli import store
from canteen.metering.audit.book import Book

# Verbs that change what a service does. None of them has a prompt or a secret among its words.
CHANGING = frozenset(
    {
        "cp",
        "engine",
        "finetune",
        "index",
        "keys",
        "prepare",
        "promote",
        "pull",
        "rm",
        "rollback",
        "stop",
    }
)
HELP = ("-h", "--help")


def note(words: Sequence[str]) -> None:
    """Record a command before it is done; raises AuditUnavailable, and then it is not."""
    settings = store.settings()
    if not settings.audit or any(word in HELP for word in words):
        return
    audit = Book.at(settings.home, settings.audit_file_mb)
    audit.start()
    try:
        audit.append({"event": "command", "who": _user(), "command": list(words)}).result()
    finally:
        audit.close()


def _user() -> str:
    try:
        return f"user {getpass.getuser()}"
    except (KeyError, OSError):
        return "user unknown"
