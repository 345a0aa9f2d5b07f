#!/usr/bin/env bash
# Set up, check and test everything: ./run_tests.sh [pytest arguments]. The long runs: ./run_tests.sh --soak
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
venv=$PWD/.test-venv

if ! cmp -s setup.py "$venv/installed-setup.py"; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    cp setup.py "$venv/installed-setup.py"
fi

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check .
"$venv/bin/mypy"
exec "$venv/bin/python" -m pytest "$@"
