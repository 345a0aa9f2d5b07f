"""Which loads of one export are taken back in one reading of it.

In one reading a chunk's rows go from every table before those of the next chunk do, where one reading after the other empties table after
table. So where rows are deleted it may be one only for tables of which nothing else looks at the rows that go.
"""

from __future__ import annotations

from typing import Final

from pipeline.job.plan import BegunLoad
from pipeline.target.session import Cursor
from pipeline.target.target import Target, find_references


def are_together(cursor: Cursor, load: BegunLoad, before: BegunLoad, *, yes: bool) -> bool:
    """Whether a load is taken back in the reading of the one before it, or, unless `yes`, looked at in it."""
    if load.plan.load.cut != before.plan.load.cut:
        return False
    return not yes or not any(_is_tied(cursor, one.plan.target) for one in (load, before) if one.plan.load.rolled_back_at is None)


def _is_tied(cursor: Cursor, target: Target) -> bool:
    """Whether deleting rows may touch other tables than its own and its children's, or depend on them."""
    family = (target, *target.children)
    names = {one.qualified for one in family}
    if any(one.has_row_security for one in family):
        return True
    if any(reference.qualified not in names for one in family for reference in find_references(cursor, one)):
        return True
    cursor.execute(_ACTS_ON_DELETE, [[one.oid for one in family]])
    return bool(cursor.fetchone()[0])


# 8 is the bit of DELETE.
_ACTS_ON_DELETE: Final = """
    SELECT EXISTS (
        SELECT FROM unnest(%s::oid[]) AS family (root),
                    LATERAL (SELECT root AS oid UNION SELECT relid FROM pg_partition_tree(root)) of_tree JOIN pg_class USING (oid)
        WHERE relhasrules OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = pg_class.oid AND NOT tgisinternal AND tgtype & 8 <> 0)
    )
"""
