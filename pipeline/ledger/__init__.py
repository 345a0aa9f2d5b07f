"""The ledger: what of an export is in its target, kept beside the target in the schema `ddb2pg` and committed with its rows."""
