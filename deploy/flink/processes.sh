# What up.sh starts and down.sh stops: processes known by their id and the time they started, in one folder. Sourced, not run.
# shellcheck shell=bash

state=${DDB2PG_FLINK_STATE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local/flink}
seconds_to_start=${DDB2PG_FLINK_SECONDS:-180}

start() {
    local name=$1
    shift
    # A session of its own: what it starts can be ended with it, and a terminal that closes ends neither.
    setsid "$@" > "$state/log/$name.out" 2>&1 < /dev/null &
    local pid=$!
    echo "$pid $(started_at "$pid")" > "$state/pids/$name"
}

started_at() {
    ps -o lstart= -p "$1" 2> /dev/null || true
}

# The same id may be another's process by now, so its time counts as well.
is_running() {
    local pid when
    [ -f "$state/pids/$1" ] && read -r pid when < "$state/pids/$1" && [ -n "$when" ] && [ "$(started_at "$pid" | xargs)" = "$(echo "$when" | xargs)" ]
}

stop_all() {
    local names=() name pid
    for name in taskmanager-1 taskmanager-2 job-server jobmanager; do
        [ ! -f "$state/pids/$name" ] || names+=("$name")
    done
    for name in ${names[@]+"${names[@]}"}; do
        read -r pid _ < "$state/pids/$name"
        ! is_running "$name" || kill -TERM "$pid"
    done
    for name in ${names[@]+"${names[@]}"}; do
        read -r pid _ < "$state/pids/$name"
        for _ in $(seq 25); do
            is_running "$name" || break
            sleep 0.2
        done
        # Workers of a TaskManager that was killed may still be there. While they are, nobody else gets the id of their session.
        if is_running "$name" || [ -z "$(started_at "$pid")" ]; then
            pkill -KILL -s "$pid" || true
        fi
        rm -f "$state/pids/$name"
    done
}

fail_to_start() {
    echo "up.sh: $1 does not start; the end of $state/log/$1.*:" >&2
    tail -n 20 "$state/log/$1".* >&2 || true
    exit 1
}

await() {
    local name=$1 url=$2 words=$3
    for _ in $(seq $((seconds_to_start / 2))); do
        looks_for_two_seconds "$url" "$words" && return
        is_running "$name" || fail_to_start "$name"
    done
    fail_to_start "$name"
}

# Whether the words come to stand there.
looks_for_two_seconds() {
    "$PYTHON" - "$@" 2> /dev/null << 'END'
import sys, time
from urllib.request import ProxyHandler, build_opener

url, words = sys.argv[1:]
opener, end = build_opener(ProxyHandler({})), time.monotonic() + 2
while time.monotonic() < end:
    try:
        if words in opener.open(url, timeout=5).read().decode():
            sys.exit(0)
    except OSError:
        pass  # nobody answers yet
    time.sleep(0.2)
sys.exit(1)
END
}

await_port() {
    local name=$1 port=$2
    for _ in $(seq $((seconds_to_start * 5))); do
        (exec 3<> "/dev/tcp/localhost/$port") 2> /dev/null && return
        is_running "$name" || fail_to_start "$name"
        sleep 0.2
    done
    fail_to_start "$name"
}
