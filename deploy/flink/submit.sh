#!/usr/bin/env bash
# Run a migration on the cluster that up.sh started: DATABASE_URL=... deploy/flink/submit.sh --export URI ...
# Takes every option of `ddb2pg migrate`, or another command first: deploy/flink/submit.sh validate --export URI ...
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=processes.sh
source "$here/processes.sh"

[ -f "$state/ports" ] || { echo "submit.sh: no cluster is up; run deploy/flink/up.sh" >&2; exit 2; }
read -r port _ < "$state/ports"
case "${1:-}" in
    '' | -*) set -- migrate "$@" ;;
esac
# The workers look the database's URL up in a file of its owner's only; an option would show in Flink's web page.
if [ -n "${DATABASE_URL:-}" ]; then
    # A file of this job alone: one that goes on after Ctrl-C reads it again when its workers start again.
    secret=$(mktemp "$state/database-url.XXXXXX")
    printf '%s' "$DATABASE_URL" > "$secret"
    set -- "$@" --database_secret "file:$secret"
fi
export PYTHONPATH="$here/../..${PYTHONPATH:+:$PYTHONPATH}"
exec "${PYTHON:-$here/../../.venv/bin/python}" -m pipeline "$@" --runner=FlinkRunner "--flink_master=localhost:$port"
