"""Search indexes: passages with their vectors and words, in a folder each."""

from canteen.tasks.indexes.card import IndexCard
from canteen.tasks.indexes.filters import Condition, parsed
from canteen.tasks.indexes.index import Entry, Index, Query
from canteen.tasks.indexes.shelf import Indexes

__all__ = ["Condition", "Entry", "Index", "IndexCard", "Indexes", "Query", "parsed"]
