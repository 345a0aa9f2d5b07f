#!/usr/bin/env bash
# Start a Flink session cluster for ddb2pg on this machine: a JobManager, two TaskManagers, and Beam's job server beside them.
# Again: start what is not running any more. deploy/flink/down.sh stops it. Needs Java 11 or 17, and what fetch.sh needs.
#
# The environment of this command is the workers' environment, so set AWS_* as they need it before. DATABASE_URL they do not get: each job
# says which database is its own. Settings, all optional:
#   PYTHON                  the Python of the workers, with ddb2pg installed (default: .venv of this checkout)
#   DDB2PG_FLINK_STATE      folder of configuration, logs and process ids (default: .local/flink of this checkout)
#   DDB2PG_FLINK_PORT       port of the web page (default: 8081, or a free one if that is taken)
#   DDB2PG_FLINK_SLOTS      slots of each TaskManager (default: the number of cores)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${DDB2PG_FLINK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ddb2pg/flink}
# shellcheck source=processes.sh
source "$here/processes.sh"

PYTHON=${PYTHON:-$root/.venv/bin/python}
export PYTHON
"$PYTHON" -c 'import apache_beam' 2> /dev/null || { echo "up.sh: $PYTHON has no Beam; run ./run_local.sh first, or set PYTHON" >&2; exit 1; }
command -v java > /dev/null || { echo "up.sh: java is missing; install Java 17 (apt-get install default-jre-headless)" >&2; exit 1; }
"$here/fetch.sh"

# What Flink's own scripts open to its libraries.
opens=(--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
    --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED)
for package in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
    opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
opens+=(--add-opens=java.base/sun.nio.ch=ALL-UNNAMED)

free_ports() {
    "$PYTHON" - "$@" << 'END'
import socket, sys

def bound(port):
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        one.bind(("127.0.0.1", 0))
    return one

print(*(one.getsockname()[1] for one in [bound(int(port)) for port in sys.argv[1:]]))
END
}

configure() {
    local rpc job artifacts expansion
    read -r port rpc job artifacts expansion <<< "$(free_ports "${DDB2PG_FLINK_PORT:-8081}" 0 0 0 0)"
    mkdir -p "$state"/{conf,log,pids,artifacts,workers,tmp}
    chmod 700 "$state"
    cp "$here/log4j.properties" "$state/conf/log4j.properties"
    # Each worker unpacks what the job brings along, and its options, into a folder of its own.
    cat > "$state/worker.sh" << END
#!/usr/bin/env bash
set -euo pipefail
own=\$(mktemp -d "$state/workers/XXXXXX")
cd "\$own"
exec "$cache/bin/container" --semi_persist_dir="\$own" "\$@"
END
    chmod 700 "$state/worker.sh"
    cat > "$state/conf/config.yaml" << END
jobmanager.rpc.address: localhost
jobmanager.bind-host: localhost
jobmanager.rpc.port: $rpc
rest.address: localhost
rest.bind-address: localhost
rest.port: $port
taskmanager.host: localhost
taskmanager.bind-host: localhost
taskmanager.numberOfTaskSlots: ${DDB2PG_FLINK_SLOTS:-$(nproc)}
taskmanager.cpu.cores: 1.0
# Else both halves of a job would run on one TaskManager.
cluster.evenly-spread-out-slots: true
# What Beam calls --number_of_execution_retries it leaves out of batch jobs: without this Flink gives up at the first failure.
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 5 s
# A TaskManager that is gone is noticed within seconds.
heartbeat.interval: 2000
heartbeat.timeout: 30000
io.tmp.dirs: $state/tmp
web.submit.enable: false
taskmanager.memory.task.heap.size: 384m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.managed.size: 128m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 192m
taskmanager.memory.jvm-overhead.max: 192m
# Not Flink's: how a job of ddb2pg is handed in and gets its workers here, unless its options say otherwise.
ddb2pg.job_endpoint: localhost:$job
ddb2pg.artifact_endpoint: localhost:$artifacts
ddb2pg.environment_type: PROCESS
ddb2pg.environment_config: '{"command": "$state/worker.sh"}'
END
    echo "$port $job $artifacts $expansion" > "$state/ports"
}

# The work is done in Python, so Java need not compile its own part as well as it can.
java=(java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "${opens[@]}")

flink() {
    local name=$1 heap=$2 main=$3
    shift 3
    start "$name" "${java[@]}" "-Xmx$heap" "-Dlog.file=$state/log/$name.log" \
        "-Dlog4j.configurationFile=file:$state/conf/log4j.properties" \
        -cp "$cache/flink/*:$cache/job-server/gradle/wrapper/*" "$main" --configDir "$state/conf" "$@"
}

mkdir -p "$state"
# A cluster whose JobManager is gone begins anew, with ports that are free now.
if ! is_running jobmanager; then
    stop_all
    configure
fi
read -r port job artifacts expansion < "$state/ports"

# The program that starts workers makes environments of its own unless told that all is there.
export PATH="$(dirname "$PYTHON"):$PATH" PYTHONPATH="$root" RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
unset DATABASE_URL DDB2PG_DATABASE_URL
is_running jobmanager || flink jobmanager 512m org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
# A TaskManager that comes before its JobManager waits for ten seconds before it asks again.
await jobmanager "http://localhost:$port/v1/overview" '"taskmanagers"'
is_running job-server || start job-server "${java[@]}" -Xmx256m -cp "$cache/job-server/gradle/wrapper/*" \
    org.apache.beam.runners.flink.FlinkJobServerDriver --flink-master="http://localhost:$port" --flink-conf-dir="$state/conf" \
    --job-host=localhost --job-port="$job" --artifact-port="$artifacts" --expansion-port="$expansion" --artifacts-dir="$state/artifacts"
for number in 1 2; do
    is_running "taskmanager-$number" || flink "taskmanager-$number" 512m org.apache.flink.runtime.taskexecutor.TaskManagerRunner \
        -D "taskmanager.resource-id=taskmanager-$number-$$"
done
await taskmanager-1 "http://localhost:$port/v1/overview" '"taskmanagers":2'
await_port job-server "$job"

cat << END
Flink is up, with two TaskManagers: http://localhost:$port
logs: $state/log    stop it: deploy/flink/down.sh
now: DATABASE_URL=postgresql://... deploy/flink/submit.sh --export URI
or:  ddb2pg migrate --export URI --runner=FlinkRunner --flink_master=localhost:$port --database_secret file:FILE_WITH_THE_URL
END
