#!/usr/bin/env bash
# Set up, check and test everything: ./run_tests.sh [pytest arguments]. The long runs: ./run_tests.sh --soak
# Three processes, for most tests wait for a server half of their time; -n 0 for one, as a debugger wants it.
# Needs PgBouncer, Chromium and its driver, and a PostgreSQL with TLS: as root on Debian they are installed, elsewhere do that first
# (sudo apt-get install pgbouncer chromium chromium-driver postgresql).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$PWD/.test-venv

if ! cmp -s setup.py "$venv/installed-setup.py"; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp setup.py "$venv/installed-setup.py"
fi

# What no package index has: a pooler, a browser for the report's page, and a server with TLS. Without them their tests fail and say so.
missing=()
PATH=$PATH:/usr/sbin command -v pgbouncer > /dev/null || missing+=(pgbouncer)
command -v chromium > /dev/null || missing+=(chromium)
command -v chromedriver > /dev/null || missing+=(chromium-driver)
compgen -G '/usr/lib/postgresql/*/bin/pg_ctl' > /dev/null || missing+=(postgresql)
if [ ${#missing[@]} -gt 0 ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
fi

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
exec "$venv/bin/python" -m pytest -n 3 --dist loadfile "$@"
