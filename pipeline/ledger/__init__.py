"""The ledger: which parts of an export are in its target, kept beside the target in the schema `ddb2pg` and committed with its rows."""
