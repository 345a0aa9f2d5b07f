"""`draft`: a definition and its CREATE TABLE, proposed from an export (`docs/draft.md` says what of its content is shown)."""
