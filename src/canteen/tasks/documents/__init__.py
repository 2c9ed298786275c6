"""Documents: bytes in, one text with its structure out; whoever quotes it quotes by offsets."""

from canteen.tasks.documents.document import Document, Section
from canteen.tasks.documents.reading import read, read_all

__all__ = ["Document", "Section", "read", "read_all"]
