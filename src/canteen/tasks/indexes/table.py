"""The seam over LanceDB: the only module that knows it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import reduce
from operator import and_
from pathlib import Path
from typing import Any, NamedTuple

from canteen.core.errors import EngineError, InvalidRequest, NotSupported, StorageFull
from canteen.tasks.indexes import filters
from canteen.tasks.indexes.filters import Condition, Kind
from canteen.tasks.indexes.rows import KEPT, Row, as_json, filterable, read_row

NAME = "passages"
# Below this many passages all vectors are compared; above, those of the nearest partitions.
FLAT_ROWS = 20_000
# Vectors that train a partition. Their 8-bit form (scalar quantization) needs no training: for
# 100,000 it is built in 6 s, where product quantization took 91 s and found less.
SAMPLE_RATE = 64
PARTITIONS_SEARCHED = 32
# The best by the 8-bit form are ranked again by the vectors themselves: as many as are wanted,
# so a caller asks for more than it shows.
REFINE = 1
# Passages that are not indexed yet are searched one by one; pieces of a table, one after another.
FRESH_SHARE = 0.05
FRAGMENTS = 32
VERSIONS_STAY = timedelta(minutes=10)
LANGUAGES = (
    *("Arabic", "Danish", "Dutch", "English", "Finnish", "French", "German", "Greek"),
    *("Hungarian", "Italian", "Norwegian", "Portuguese", "Romanian", "Russian", "Spanish"),
    *("Swedish", "Tamil", "Turkish"),
)


class Found(NamedTuple):
    """A passage that was found; `key` is where it is until the table changes."""

    key: int
    score: float


class Table:
    """The passages of one index. Every change is there wholly or not at all."""

    def __init__(self, inner: Any, dimensions: int) -> None:
        self._inner = inner
        self._dimensions = dimensions

    @classmethod
    async def create(cls, folder: Path, dimensions: int, language: str) -> "Table":
        """Make an empty table in a folder."""
        lancedb, pyarrow = await asyncio.to_thread(_libraries)
        async with _mapped():
            database = await lancedb.connect_async(str(folder))
            inner = await database.create_table(NAME, schema=_schema(pyarrow, dimensions))
            # LanceDB 0.40's "icu", meant for scripts without spaces, drops every other Latin word.
            words = lancedb.index.FTS(base_tokenizer="simple", language=language)
            await inner.create_index("content", config=words)
            await inner.create_index("document", config=lancedb.index.BTree())
        return cls(inner, dimensions)

    @classmethod
    async def open(cls, folder: Path, dimensions: int) -> "Table":
        """The table in a folder; it sees at once what other processes write."""
        lancedb, _ = await asyncio.to_thread(_libraries)
        async with _mapped():
            path = str(folder)
            database = await lancedb.connect_async(path, read_consistency_interval=timedelta(0))
            return cls(await database.open_table(NAME), dimensions)

    async def digests(self, documents: Sequence[str]) -> dict[str, str]:
        """The digests of those of these documents that are here."""
        from lancedb.expr import col, lit

        if not documents:
            return {}
        asked = col("document").isin(documents) & (col("number") == lit(0))
        async with _mapped():
            query = self._inner.query().where(asked).select(["document", "digest"])
            rows = await query.to_list()
        return {row["document"]: row["digest"] for row in rows}

    async def documents(self) -> list[str]:
        """The id of every document, sorted."""
        from lancedb.expr import col, lit

        async with _mapped():
            query = self._inner.query().where(col("number") == lit(0)).select(["document"])
            return sorted(row["document"] for row in await query.to_list())

    async def count_documents(self) -> int:
        """How many documents there are."""
        async with _mapped():
            return int(await self._inner.count_rows("number = 0"))

    async def count(self) -> int:
        """How many passages there are."""
        async with _mapped():
            return int(await self._inner.count_rows())

    async def replace(self, rows: Sequence[Row], vectors: Any) -> None:
        """Put the passages of documents in the place of those they had; vectors are (rows,
        dimensions) in float32."""
        from lancedb.expr import col

        documents = sorted({row.document for row in rows})
        await self._add_columns(rows)
        async with _mapped():
            data = _arrow(await self._inner.schema(), rows, vectors)
            if not await self.digests(documents):
                await self._inner.add(data)
                return
            merge = self._inner.merge_insert(["document", "number"])
            merge = merge.when_matched_update_all().when_not_matched_insert_all()
            merge = merge.when_not_matched_by_source_delete(col("document").isin(documents))
            await merge.execute(data)

    async def delete(self, documents: Sequence[str]) -> None:
        """Take documents out; those that are not here are no error."""
        from lancedb.expr import col

        async with _mapped():
            await self._inner.delete(col("document").isin(documents))

    async def optimize(self) -> None:
        """Bring the indexes up to date, and drop what old versions held."""
        async with _mapped():
            await self._inner.optimize(cleanup_older_than=VERSIONS_STAY)
            if await self._inner.count_rows() > FLAT_ROWS:
                await self._index()

    async def is_optimized(self) -> bool:
        """Whether `optimize`, which takes a second for 40,000 passages, would gain little."""
        async with _mapped():
            stats = await self._inner.stats()
            indices = await self._inner.list_indices()
        num_rows = stats["num_rows"]
        if num_rows > FLAT_ROWS and all(one.columns != ["vector"] for one in indices):
            return False
        fresh = max(one.num_unindexed_rows for one in indices)
        is_whole = stats["fragment_stats"]["num_fragments"] <= FRAGMENTS
        return bool(is_whole and fresh <= FRESH_SHARE * num_rows)

    async def _index(self) -> None:
        """Index the vectors, and the metadata to filter by, where they are not yet."""
        from lancedb.index import BTree, IvfSq

        rows = await self._inner.count_rows()
        vectors = IvfSq(
            distance_type="cosine", num_partitions=round(rows**0.5), sample_rate=SAMPLE_RATE
        )
        names = [name for name in (await self._inner.schema()).names if filters.field(name)]
        wanted = {"vector": vectors, **{name: BTree() for name in names}}
        held = {one.columns[0] for one in await self._inner.list_indices()}
        for name in wanted.keys() - held:
            await self._inner.create_index(name, config=wanted[name])

    async def nearest(
        self, vector: Sequence[float], limit: int, conditions: Sequence[Condition] = ()
    ) -> list[Found]:
        """The nearest passages by cosine, which is their score."""
        query = self._inner.query().nearest_to(vector).distance_type("cosine")
        query = query.nprobes(PARTITIONS_SEARCHED).refine_factor(REFINE)
        if conditions:
            # Those of a narrow filter may be anywhere, so every partition is searched: the 96
            # nearest of 316 held 97 % of the ten best of a tenth, and 56 % of a hundredth.
            query = query.maximum_nprobes(0)
        rows = await self._found(query, limit, conditions, "_distance")
        return [Found(row["_rowid"], 1 - row["_distance"]) for row in rows]

    async def matching(
        self, words: str, limit: int, conditions: Sequence[Condition] = ()
    ) -> list[Found]:
        """The passages that match any of these words best, by BM25."""
        from lancedb import query as queries

        # Its types do not know that its fields have defaults.
        match: Any = queries.MatchQuery
        query = self._inner.query().nearest_to_text(match(words, "content"))
        rows = await self._found(query, limit, conditions, "_score")
        return [Found(row["_rowid"], row["_score"]) for row in rows]

    async def rows(self, found: Iterable[Found]) -> dict[int, Row]:
        """What was found, by `key`; what has been replaced since is not there."""
        async with _mapped():
            query = self._inner.take_row_ids([one.key for one in found])
            rows = await query.select([*KEPT, "metadata"]).with_row_id().to_list()
        return {row["_rowid"]: read_row(row) for row in rows}

    async def _found(
        self, query: Any, limit: int, conditions: Sequence[Condition], score: str
    ) -> list[dict[str, Any]]:
        if conditions:
            query = query.where(reduce(and_, map(_expression, conditions)))
        async with _mapped():
            query = query.select([score]).with_row_id().limit(limit)
            found: list[dict[str, Any]] = await query.to_list()
        return found

    async def check(self, conditions: Sequence[Condition]) -> None:
        """Raises InvalidRequest for a condition on what no document has."""
        fields = await self.fields() if conditions else {}
        for condition in conditions:
            if problem := filters.unknown(condition, fields):
                raise problem

    async def fields(self) -> dict[str, set[Kind]]:
        """What can be filtered by, and the kinds of its values."""
        fields: dict[str, set[Kind]] = {}
        for name in (await self._inner.schema()).names:
            if known := filters.field(name):
                fields.setdefault(known[0], set()).add(known[1])
        return fields

    async def _add_columns(self, rows: Iterable[Row]) -> None:
        """Have a column for every field that a new document can be filtered by."""
        schema = await self._inner.schema()
        wanted = {column for row in rows for column in filterable(row)}
        fresh = sorted(wanted - set(schema.names))
        num_fields = len(fresh) + sum(filters.field(name) is not None for name in schema.names)
        if num_fields > filters.MOST_FIELDS:
            raise InvalidRequest(
                f"the documents of an index have at most {filters.MOST_FIELDS} fields of metadata "
                "to filter by",
                param="metadata",
            )
        if fresh:
            import pyarrow

            async with _mapped():
                added = [pyarrow.field(name, _type(pyarrow, name)) for name in fresh]
                await self._inner.add_columns(pyarrow.schema(added))


def _libraries() -> tuple[Any, Any]:
    """LanceDB and PyArrow, which take seconds to load."""
    try:
        import lancedb
        import lancedb.index
        import pyarrow
    except ImportError as exc:
        raise NotSupported(
            "search needs LanceDB, which is not installed here: pip install lancedb",
            param="index",
        ) from exc
    return lancedb, pyarrow


def _schema(pyarrow: Any, dimensions: int) -> Any:
    text, number = pyarrow.string(), pyarrow.int64()
    return pyarrow.schema(
        {
            "document": text,
            "number": number,
            "digest": text,
            "title": text,
            "content": text,
            "offset": number,
            "start": number,
            "end": number,
            "page": number,
            "headings": pyarrow.list_(text),
            "metadata": text,
            "vector": pyarrow.list_(pyarrow.float32(), dimensions),
        }
    )


def _type(pyarrow: Any, column: str) -> Any:
    kinds = {"text": pyarrow.string(), "number": pyarrow.float64(), "flag": pyarrow.bool_()}
    return kinds[column.partition("_")[0]]


def _arrow(schema: Any, rows: Sequence[Row], vectors: Any) -> Any:
    import pyarrow

    columns = [filterable(row) for row in rows]
    arrays = []
    for one in schema:
        if one.name == "vector":
            flat = pyarrow.array(vectors.ravel(), pyarrow.float32())
            arrays.append(pyarrow.FixedSizeListArray.from_arrays(flat, one.type.list_size))
        elif one.name == "metadata":
            arrays.append(pyarrow.array([as_json(row.metadata) for row in rows], one.type))
        elif filters.field(one.name):
            values = [held.get(one.name) for held in columns]
            arrays.append(pyarrow.array(values, one.type))
        else:
            arrays.append(pyarrow.array([getattr(row, one.name) for row in rows], one.type))
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _expression(condition: Condition) -> Any:
    """A condition with its values bound; no text of a caller is ever read as SQL."""
    from lancedb.expr import col, lit

    column = col(filters.column(condition.field, condition.kind))
    if condition.operator == "in":
        return column.isin(_bound(condition))
    return getattr(column, condition.operator)(lit(_bound(condition)[0]))


def _bound(condition: Condition) -> list[Any]:
    if condition.kind == "number":
        return [float(value) for value in condition.values]
    return list(condition.values)


@asynccontextmanager
async def _mapped() -> AsyncIterator[None]:
    """LanceDB's errors as ours."""
    try:
        yield
    except (RuntimeError, ValueError, OSError) as exc:
        if "No space left" in str(exc):
            raise StorageFull("the disk has no room for the index; nothing was changed") from exc
        raise EngineError("the search index failed; see the log of the service") from exc
