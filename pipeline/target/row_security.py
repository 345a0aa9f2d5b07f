"""Row security of a target as it is: kept in the ledger when a load begins, so that later it can be told whether it is still the same."""

from __future__ import annotations

from typing import Final

from pipeline.target.session import Cursor
from pipeline.target.target import Target

# `sql/validate_migration.sql`, which must stand alone, has the same expression. How PostgreSQL words a policy's condition depends on the
# search path, so both fix it.
_ROW_SECURITY: Final = """
    SELECT jsonb_build_object(
               'enabled', c.relrowsecurity, 'forced', c.relforcerowsecurity,
               'policies', coalesce(jsonb_agg(jsonb_build_object(
                   'name', p.polname, 'command', p.polcmd, 'permissive', p.polpermissive,
                   'roles', (SELECT jsonb_agg(CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role)::text END ORDER BY role)
                             FROM unnest(p.polroles) role),
                   'using', pg_get_expr(p.polqual, p.polrelid), 'check', pg_get_expr(p.polwithcheck, p.polrelid)
               ) ORDER BY p.polname) FILTER (WHERE p.oid IS NOT NULL), '[]'))::text
    FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
    WHERE c.oid = %s GROUP BY c.oid, c.relrowsecurity, c.relforcerowsecurity
"""


def read_row_security(cursor: Cursor, target: Target) -> str:
    """`{"enabled", "forced", "policies": [{"name", "command", "permissive", "roles", "using", "check"}]}`, as the text of a jsonb."""
    cursor.execute("SELECT current_setting('search_path')")
    search_path = cursor.fetchone()[0]
    cursor.execute("SELECT set_config('search_path', 'pg_catalog', true)")
    cursor.execute(_ROW_SECURITY, [target.oid])
    row_security: str = cursor.fetchone()[0]
    cursor.execute("SELECT set_config('search_path', %s, true)", [search_path])
    return row_security
