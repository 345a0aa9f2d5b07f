#!/usr/bin/env bash
# Stop what up.sh started, and nothing else. Logs stay; the cache stays.
set -euo pipefail

# shellcheck source=processes.sh
source "$(dirname "${BASH_SOURCE[0]}")/processes.sh"
stop_all
rm -rf "$state"/database-url.* "$state/artifacts" "$state/workers" "$state/tmp"
echo "Flink is down; its logs are in $state/log"
