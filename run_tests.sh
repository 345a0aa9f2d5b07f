#!/usr/bin/env bash
# Set up, check and test everything: ./run_tests.sh [pytest arguments]. The long runs: ./run_tests.sh --soak
# Three processes, for most tests wait for a server half of their time; -n 0 for one, as a debugger wants it.
# Needs a C compiler, PgBouncer, Chromium and its driver, and a PostgreSQL with TLS: as root on Debian they are installed, elsewhere do that
# first (sudo apt-get install gcc python3-dev pgbouncer chromium chromium-driver postgresql). The tests on Flink need Java, Maven and Go
# too, and are skipped without them, or where their parts cannot be fetched; DDB2PG_REQUIRE_FLINK=1 makes that a failure.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$PWD/.test-venv

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
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    printf '%s\n' "$installed" > "$venv/installed"
fi

# What Flink is made of takes some minutes when it is fetched for the first time; the tests wait for it, and say what went wrong.
PYTHON=$venv/bin/python deploy/flink/fetch.sh --for-tests > "$venv/flink-fetch.log" 2>&1 &

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
exec "$venv/bin/python" -m pytest -n 3 --dist loadfile --no-loadscope-reorder "$@"
