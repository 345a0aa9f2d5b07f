#!/usr/bin/env bash
# Set up, check and test everything: ./run_tests.sh [pytest arguments]. The long runs: ./run_tests.sh --soak
# Three processes, for most tests wait for a server half of their time; -n 0 for one, as a debugger wants it.
# Needs PgBouncer: as root on Debian it is installed, elsewhere do that first (sudo apt-get install pgbouncer).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$PWD/.test-venv

if ! cmp -s setup.py "$venv/installed-setup.py"; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp setup.py "$venv/installed-setup.py"
fi

# The one thing that no package index has: a pooler, for the tests that go through one. Without it these fail and say so.
if ! PATH=$PATH:/usr/sbin command -v pgbouncer > /dev/null && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends pgbouncer > /dev/null
fi

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
exec "$venv/bin/python" -m pytest -n 3 --dist loadfile "$@"
