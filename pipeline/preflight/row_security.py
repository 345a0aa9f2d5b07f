"""Row security of a target: whether it applies to this role, and what then becomes of the load.

A role that it applies to sees no rows but those that policies show it, COPY refuses it, and what it inserts must be allowed by one policy
and, because the load asks which rows are in, be shown by another. Without such policies nothing can be loaded. With them it depends on
the rows, which only the load finds out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pipeline.preflight.findings import Code, Finding, fact, problem, warning
from pipeline.target.session import Cursor
from pipeline.target.target import Target
from transforms.table import Table

_STATE: Final = """
    SELECT c.relrowsecurity, c.relforcerowsecurity, pg_has_role(c.relowner, 'USAGE'), r.rolsuper, r.rolbypassrls, r.rolname
    FROM pg_class c, pg_roles r
    WHERE c.oid = %s AND r.rolname = current_user
"""

# Permissive ones, for everybody (0) or for a role that we are; 'a' is INSERT, 'r' SELECT, '*' all.
_POLICIES: Final = """
    SELECT coalesce(bool_or(polcmd IN ('a', '*')), false), coalesce(bool_or(polcmd IN ('r', '*')), false)
    FROM pg_policy
    WHERE polrelid = %s AND polpermissive
          AND EXISTS (SELECT 1 FROM unnest(polroles) AS of (role) WHERE CASE role WHEN 0 THEN true ELSE pg_has_role(role, 'USAGE') END)
"""

# Supabase's roles of whoever has an API key.
_EXPOSED: Final = """
    SELECT rolname FROM pg_roles
    WHERE rolname IN ('anon', 'authenticated')
      AND has_schema_privilege(rolname, (SELECT relnamespace FROM pg_class WHERE oid = %(oid)s), 'USAGE')
      AND has_table_privilege(rolname, %(oid)s::oid, 'SELECT, INSERT, UPDATE, DELETE')
    ORDER BY 1
"""

_OTHER_ROLE: Final = "connect as the table's owner or as a role with BYPASSRLS"


def row_security_findings(cursor: Cursor, table: Table, target: Target) -> Iterator[Finding]:
    """Of one target."""
    name = table.target
    cursor.execute(_STATE, [target.oid])
    is_enabled, is_forced, is_owner, is_superuser, may_bypass, role = cursor.fetchone()
    if not is_enabled:
        yield from _without(cursor, name, target)
        return
    forced = ", forced on its owner too" if is_forced else ""
    if not target.has_row_security:
        reasons = {"a superuser": is_superuser, "it has BYPASSRLS": may_bypass, "it owns the table": is_owner}
        why = next((reason for reason, holds in reasons.items() if holds), "for whatever reason")
        yield fact(Code.ROW_SECURITY_BYPASSED, f"row security is enabled{forced}; it does not apply to the role {role} ({why})", name)
        return
    cursor.execute(_POLICIES, [target.oid])
    may_insert, may_see = cursor.fetchone()
    if may_insert and may_see:
        yield warning(
            Code.ROW_SECURITY_APPLIES,
            f"row security{forced} applies to the role {role}: it sees only rows that policies show it, so neither that the table is empty "
            "nor that it holds what was loaded can be told; rows go in without COPY, slower, and the first that a policy forbids stops the "
            f"load; {_OTHER_ROLE}",
            name,
        )
        return
    lacking = " and ".join(command for command, is_there in (("INSERT", may_insert), ("SELECT", may_see)) if not is_there)
    yield problem(
        Code.ROW_SECURITY_FORBIDS,
        f"row security{forced} applies to the role {role}, and no policy lets it {lacking}, so it could load nothing, and might count no "
        f"rows whatever the table holds; {_OTHER_ROLE}",
        name,
    )


def _without(cursor: Cursor, name: str, target: Target) -> Iterator[Finding]:
    cursor.execute(_EXPOSED, {"oid": target.oid})
    exposed = [row[0] for row in cursor.fetchall()]
    if exposed:
        sentence = (
            f"row security is off, and {' and '.join(exposed)} may use the table: whoever has an API key of the project could read or "
            f"change what is loaded; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY, with policies, or REVOKE the rights"
        )
        yield warning(Code.EXPOSED_TO_API, sentence, name)
    else:
        yield fact(Code.ROW_SECURITY_OFF, "row security is off", name)
