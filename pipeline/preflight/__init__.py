"""Preflight: what must hold, and what is worth knowing, before anything is written. All of it at once, each with what to do.

findings        what can be found: levels, codes, sentences
exports         the exports and the output
connections     TLS, a pooler, connections enough
database        the database, the role, limits of time
targets         a target against its definition; `defaults`, `attachments`, `foreign_keys`, `row_security` of it
loads           the load that is to be started or resumed
space           how much room the rows take
check           all of it
sample          the first items beside their rows; `fields` decodes those
report          what the command tells; `terminal` prints it
"""
