"""What preflight can find: each finding is a check, whose name is a code for programs and whose detail is a sentence for people.

The codes are described in docs/preflight.md; a test holds that all of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.outcome.outcome import Check, Verdict, failed
from pipeline.target.session import Cursor


class Code(StrEnum):
    """What was found. A code stays what it is, whatever becomes of its sentence."""

    # Of the exports, the output and ddb2pg itself.
    EXPORT = "export"
    EXPORT_UNUSABLE = "export_unusable"
    EXPORT_WITHOUT_MANIFEST = "export_without_manifest"
    MANIFEST_NOT_VERIFIED = "manifest_not_verified"
    UNKNOWN_TABLE = "unknown_table"
    TWO_EXPORTS = "two_exports"
    NO_EXPORT = "no_export"
    EXPORT_FILTERED = "export_filtered"
    FILTERS_UNKNOWN = "filters_unknown"
    ATTRIBUTE_ABSENT = "attribute_absent"
    OUTPUT_NOT_WRITABLE = "output_not_writable"
    NOT_COMPILED = "not_compiled"

    # Of the way to the database.
    NOT_REACHABLE = "not_reachable"
    TLS = "tls"
    NO_TLS = "no_tls"
    TLS_NOT_VERIFIED = "tls_not_verified"
    NO_POOLER = "no_pooler"
    POOLER_IN_SESSION_MODE = "pooler_in_session_mode"
    POOLER_IN_TRANSACTION_MODE = "pooler_in_transaction_mode"
    POOLER_IN_STATEMENT_MODE = "pooler_in_statement_mode"
    CONNECTIONS = "connections"
    CONNECTIONS_UNKNOWN = "connections_unknown"
    TOO_FEW_CONNECTIONS = "too_few_connections"

    # Of the database and the role.
    SERVER_VERSION = "server_version"
    OLD_SERVER = "old_server"
    ENCODING = "encoding"
    READ_ONLY = "read_only"
    TEMP_TABLES_FORBIDDEN = "temp_tables_forbidden"
    LEDGER_FORBIDDEN = "ledger_forbidden"
    LEDGER_OF_ANOTHER_ROLE = "ledger_of_another_role"
    LEDGER_OF_ANOTHER_VERSION = "ledger_of_another_version"
    ROLE = "role"
    TIME_LIMITS = "time_limits"
    TRANSACTION_TIMEOUT = "transaction_timeout"
    NOT_DURABLE = "not_durable"
    SERVER_LOG = "server_log"
    SPACE = "space"
    SPACE_SHORT = "space_short"

    # Of a target table.
    NO_TABLE = "no_table"
    SAME_TABLE = "same_table"
    NO_COLUMN = "no_column"
    NOT_COMPILED_COLUMN = "not_compiled_column"
    NOT_COMPILED_CHILD = "not_compiled_child"
    NOT_COMPILED_TEXT = "not_compiled_text"
    UNLOGGED = "unlogged"
    FOREIGN_PARTITIONS = "foreign_partitions"
    HEIRS = "heirs"
    WRONG_TYPE = "wrong_type"
    GENERATED_COLUMN = "generated_column"
    SEQUENCE_STAYS = "sequence_stays"
    ENUM_LABELS = "enum_labels"
    NOT_NULL = "not_null"
    COLUMN_NOT_FED = "column_not_fed"
    NO_PRIVILEGE = "no_privilege"
    DEFAULT_DIFFERS = "default_differs"
    DEFAULT_TAKEN = "default_taken"
    DEFAULT_UNUSABLE = "default_unusable"
    PRIMARY_KEY = "primary_key"
    ROW_KEY = "row_key"
    NO_ROW_KEY = "no_row_key"
    PRIMARY_KEY_DIFFERS = "primary_key_differs"
    PRIMARY_KEY_DEFERRABLE = "primary_key_deferrable"
    TRIGGERS = "triggers"
    TRIGGERS_BEFORE_ROWS = "triggers_before_rows"
    TRIGGERS_ELSEWHERE = "triggers_elsewhere"
    INSERT_RULES = "insert_rules"
    INDEXES = "indexes"
    UNIQUE_INDEXES = "unique_indexes"
    CHECKS = "checks"
    FOREIGN_KEY = "foreign_key"
    FOREIGN_KEY_UNMET = "foreign_key_unmet"
    FOREIGN_KEY_TO_ITSELF = "foreign_key_to_itself"
    ROW_SECURITY_OFF = "row_security_off"
    ROW_SECURITY_BYPASSED = "row_security_bypassed"
    ROW_SECURITY_APPLIES = "row_security_applies"
    ROW_SECURITY_FORBIDS = "row_security_forbids"
    EXPOSED_TO_API = "exposed_to_api"

    # Of the load into it.
    READ_TOGETHER = "read_together"
    READ_AGAIN = "read_again"
    EMPTY = "empty"
    NOT_EMPTY = "not_empty"
    ANOTHER_EXPORT = "another_export"
    RESUMES = "resumes"
    FINISHED = "finished"
    MANIFEST_CHANGED = "manifest_changed"
    DEFINITION_CHANGED = "definition_changed"
    TARGET_REPLACED = "target_replaced"
    TARGET_RENAMED = "target_renamed"
    LEDGER_INCOMPLETE = "ledger_incomplete"
    ROLLBACK_BEGUN = "rollback_begun"
    UNMAPPED_CHANGED = "unmapped_changed"

    # Of windows that follow it.
    WINDOWS = "windows"
    WINDOW_REFUSED = "window_refused"
    WINDOWS_NEED_ALL_ROWS = "windows_need_all_rows"
    NO_CHAIN = "no_chain"
    LOAD_UNFINISHED = "load_unfinished"
    CHANGES_FIND_ROWS = "changes_find_rows"
    CHANGES_FIND_NO_ROWS = "changes_find_no_rows"
    KEY_HAS_SPELLINGS = "key_has_spellings"
    WINDOW_CANNOT_BE_TAKEN_BACK = "window_cannot_be_taken_back"
    TRIGGERS_CHANGE_ROWS = "triggers_change_rows"
    TRIGGERS_ON_CHANGES = "triggers_on_changes"
    WEBHOOKS = "webhooks"
    PUBLICATIONS = "publications"
    NO_REPLICA_IDENTITY = "no_replica_identity"
    CASCADES = "cascades"
    REFERENCED_BY_OTHERS = "referenced_by_others"
    NEXT_WINDOW = "next_window"


def problem(code: Code, sentence: str, table: str | None = None) -> Check:
    """`migrate` refuses. The sentence says what is so, where, and what to do; `table` is the target, as the definition names it."""
    return Check(code, Verdict.FAIL, sentence, table)


def warning(code: Code, sentence: str, table: str | None = None) -> Check:
    """It can be loaded, but slower, with dead letters, or less safely than it might be."""
    return Check(code, Verdict.WARNING, sentence, table)


def fact(code: Code, sentence: str, table: str | None = None) -> Check:
    return Check(code, Verdict.FACT, sentence, table)


def problems_in(findings: Iterable[Check]) -> list[str]:
    """The sentences of a refusal."""
    return [finding.line for finding in failed(findings)]


# -- what one query finds ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """A finding that one query decides: no row, no finding.

    `{name}` in the sentence is the column `name` of the row, or a parameter. A column `names` holds what was found, as an array: the
    sentence has `{names}` as `a, b`, and `{s}` or `{es}` where there is more than one; none is no finding.
    """

    verdict: Verdict
    code: Code
    sql: str
    sentence: str


def ask(cursor: Cursor, questions: Iterable[Question], parameters: Mapping[str, Any], table: str | None = None) -> Iterator[Check]:
    """What PostgreSQL says to each question, in their order."""
    for question in questions:
        cursor.execute(question.sql, parameters)
        row = cursor.fetchone()
        values = dict(zip((column.name for column in cursor.description), row, strict=True)) if row else {"names": []}
        names = values.get("names", [""])
        if names:
            is_several = len(names) > 1
            words = {"names": ", ".join(names), "s": "s" * is_several, "es": "es" * is_several, "table": table}
            yield Check(question.code, question.verdict, question.sentence.format(**{**parameters, **values, **words}), table)
