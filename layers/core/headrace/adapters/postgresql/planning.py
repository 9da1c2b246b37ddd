"""Where a table is cut, so that workers read about equally many of the caller's rows each.

Cuts are keys. A range is everything beyond one cut and up to the next, the first and the last
are open, so every key is in exactly one range whatever the sample missed and whatever is written
meanwhile. Only how even the ranges are depends on the sample: blocks of the table, filtered as
the export is, so that a tenant who owns half the table, or a thousandth of it in one corner, is
cut by its own rows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headrace.adapters.postgresql.relations import Relation, conditions, where
from headrace.adapters.postgresql.session import Connection
from headrace.adapters.postgresql.types import PgColumn
from headrace.adapters.sql_text import identifier, literal
from headrace.exports.slices import KeyRange
from headrace.exports.sources import Table

SAMPLED_BLOCKS = 800
"""About 6 MiB of the table are read for a sample: some 40,000 rows of 150 bytes."""

LEAST_PER_RANGE = 100
"""Sampled rows that a range needs, so that chance does not make it empty or twice as large."""


@dataclass(frozen=True)
class KeySample:
    """Distinct keys in the server's order, each with how many sampled rows have it.

    ``share``: the share of the table that was sampled, above 0 and at most 1.
    """

    keys: tuple[tuple[str, ...], ...]
    weights: tuple[int, ...]
    share: float

    @property
    def rows(self) -> int:
        """Rows of the whole table, after the filters, as far as the sample tells."""
        return round(sum(self.weights) / self.share)


def share_to_sample(connection: Connection, relation: Relation) -> float:
    """The share of the table's blocks that makes a sample of about ``SAMPLED_BLOCKS``."""
    row = connection.execute(
        "SELECT coalesce(sum(pg_relation_size(relid)), pg_relation_size(%(oid)s::oid)) "
        "/ current_setting('block_size')::int FROM pg_partition_tree(%(oid)s::oid) WHERE isleaf",
        {"oid": relation.oid},
    ).fetchone()
    blocks = int(row[0] or 0) if row else 0
    return min(1.0, SAMPLED_BLOCKS / blocks) if blocks else 1.0


def sampled(relation: Relation, share: float) -> str:
    """What stands behind FROM to read that share of a table's blocks, the same ones each time."""
    if share >= 1:
        return relation.sql
    return f"{relation.sql} TABLESAMPLE SYSTEM ({share * 100:.9f}) REPEATABLE (0)"


def sample_keys(
    connection: Connection,
    table: Table,
    relation: Relation,
    key: Sequence[PgColumn],
    share: float,
) -> KeySample:
    """The keys of a sample of the table's rows after its filters."""
    names = listed(key)
    texts = ", ".join(f"t.{identifier(column.described.name)}::text" for column in key)
    rows = connection.execute(
        f"SELECT {texts}, count(*) FROM {sampled(relation, share)}"  # noqa: S608  quoted names
        f"{where(conditions(table, relation))} GROUP BY {names} ORDER BY {names}".encode()
    ).fetchall()
    return KeySample(tuple(row[:-1] for row in rows), tuple(row[-1] for row in rows), share)


def cut(sample: KeySample, ranges: int) -> tuple[KeyRange, ...]:
    """At most ``ranges`` ranges of about equal rows; their bounds are keys of the sample."""
    total = sum(sample.weights)
    ranges = max(1, min(ranges, total // LEAST_PER_RANGE))
    cuts: list[tuple[str, ...]] = []
    shares: list[int] = []
    seen = taken = 0
    for key, weight in zip(sample.keys[:-1], sample.weights[:-1], strict=True):
        seen += weight
        if seen * ranges >= (len(cuts) + 1) * total:
            cuts.append(key)
            shares.append(seen - taken)
            taken = seen
            if len(cuts) == ranges - 1:
                break
    shares.append(total - taken)
    bounds: Iterable[tuple[tuple[str, ...] | None, tuple[str, ...] | None]]
    bounds = pairwise([None, *cuts, None])
    return tuple(
        KeyRange(after, upto, math.ceil(share / sample.share))
        for (after, upto), share in zip(bounds, shares, strict=True)
    )


def within(key: Sequence[PgColumn], key_range: KeyRange) -> list[str]:
    """The range as SQL conditions: a row comparison, which an index on the key serves."""
    found = []
    for sign, bound in ((">", key_range.after), ("<=", key_range.upto)):
        if bound is not None:
            values = ", ".join(
                f"{literal(text)}::{column.compared_as}"
                for text, column in zip(bound, key, strict=True)
            )
            found.append(f"({listed(key)}) {sign} ({values})")
    return found


def listed(key: Sequence[PgColumn]) -> str:
    """The key's columns in its order, as a list in SQL."""
    return ", ".join(f"t.{identifier(column.described.name)}" for column in key)
