#!/usr/bin/env bash
# Set up, check and test everything: ./run_tests.sh [pytest arguments]. The long runs: ./run_tests.sh --soak
# What of the code is run: ./run_tests.sh --coverage, which takes more than twice as long. Commands in processes of their own do not count.
# Four processes, for most tests wait for a server half of their time; -n 0 for one, as a debugger wants it.
# Needs a C compiler, PgBouncer, Chromium and its driver, and a PostgreSQL with TLS: as root on Debian they are installed, elsewhere do that
# first (sudo apt-get install gcc python3-dev pgbouncer chromium chromium-driver postgresql). The tests on Flink need Java, Maven and Go
# too, and are skipped without them, or where their parts cannot be fetched; DDB2PG_REQUIRE_FLINK=1 makes that a failure.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$PWD/.test-venv

arguments=() coverage=()
for argument in "$@"; do
    if [ "$argument" = --coverage ]; then
        coverage=(--cov=ddb2pg --cov=pipeline --cov=transforms --cov=sample_export --cov-report=term:skip-covered)
    else
        arguments+=("$argument")
    fi
done

# What no package index has: a compiler, a pooler, a browser for the report's page, and a server with TLS. Without them their tests fail
# and say so.
missing=()
command -v cc > /dev/null || missing+=(gcc libc6-dev)
"${PYTHON:-python3}" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' || missing+=(python3-dev)
PATH=$PATH:/usr/sbin command -v pgbouncer > /dev/null || missing+=(pgbouncer)
command -v chromium > /dev/null || missing+=(chromium)
command -v chromedriver > /dev/null || missing+=(chromium-driver)
compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' > /dev/null || missing+=(postgresql)
command -v java > /dev/null || missing+=(default-jre-headless)
command -v mvn > /dev/null || missing+=(maven)
command -v go > /dev/null || missing+=(golang)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

installed=$(cat setup.py transforms/native/*.[ch])
if [ "$installed" != "$(cat "$venv/installed" 2> /dev/null)" ]; then
    if command -v uv > /dev/null; then # does the same in a tenth of the time
        uv venv --quiet --seed --allow-existing --python "${PYTHON:-python3}" "$venv"
        uv pip install --quiet --compile-bytecode --python "$venv/bin/python" --requirement requirements.txt
    else
        "${PYTHON:-python3}" -m venv "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    fi
    printf '%s\n' "$installed" > "$venv/installed"
fi

if [ ${#coverage[@]} -gt 0 ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check pytest-cov==7.0.0
fi

# What Flink is made of takes some minutes when it is fetched for the first time; the tests wait for it, and say what went wrong.
PYTHON=$venv/bin/python deploy/flink/fetch.sh --for-tests > "$venv/flink-fetch.log" 2>&1 &

# Beside the tests, which wait for servers half of their time; what they find is told at the end, and fails the run as a test would.
check() {
    "$venv/bin/ruff" check . && "$venv/bin/ruff" format --check . && "$venv/bin/mypy"
}
check > "$venv/checks.log" 2>&1 &
checks=$!
trap 'kill "$checks" 2> /dev/null || true; rm -rf "${memory:-}"' EXIT

# What tests write lives in memory, where that has room for it and lets programs run: a database is 300 files, and a thousand are made. It is
# gone at the end.
has_room() {
    [ "$(df --output=avail -k /dev/shm | tail -n 1)" -gt 4000000 ] && [ "$(awk '/^MemAvailable/ {print $2}' /proc/meminfo)" -gt 9000000 ]
}
lets_programs_run() {
    cp "$(type -P true)" "$1/" && "$1/true" && rm "$1/true"
}
if [[ " $* " != *" --soak "* ]] && has_room 2> /dev/null && memory=$(mktemp -d /dev/shm/ddb2pg.XXXX) \
    && lets_programs_run "$memory" 2> /dev/null; then
    chmod 1777 "$memory" # as /tmp: as root, PostgreSQL runs as another user
    export TMPDIR=$memory
fi

# Hundreds of processes import the same files, and pytest rewrites each test's file for its assertions: once is enough.
unset PYTHONDONTWRITEBYTECODE
result=0
"$venv/bin/python" -m pytest -n 4 --dist loadfile --no-loadscope-reorder "${coverage[@]}" "${arguments[@]}" || result=$?
# Four processes and their servers share the cores, so a limit of time can be missed by a test that is sound. The few that failed run once more,
# one at a time. A test that passes then is named: it depends on time, and must be made not to.
failed_before() {
    "$venv/bin/python" -c 'import json; print(len(json.load(open(".pytest_cache/v/cache/lastfailed"))))' 2> /dev/null || echo 0
}
if [ "$result" = 1 ] && [ "$(failed_before)" -gt 0 ] && [ "$(failed_before)" -le 5 ]; then
    cp .pytest_cache/v/cache/lastfailed "$venv/failed-once"
    echo "The tests that failed run once more, one at a time:"
    result=0
    "$venv/bin/python" -m pytest --last-failed --last-failed-no-failures none --tb short "${arguments[@]}" || result=$?
    [ "$result" != 0 ] || printf 'UNSTABLE: failed among the others and passed alone. Look for what they wait for:\n%s\n' "$(cat "$venv/failed-once")"
fi
if ! wait "$checks"; then
    [ "$result" != 0 ] || result=1
    echo "ruff or mypy failed:"
fi
cat "$venv/checks.log"
exit "$result"
