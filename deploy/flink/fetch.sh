#!/usr/bin/env bash
# Fetch what a Flink cluster for Beam's Python SDK is made of, once, into a cache: deploy/flink/fetch.sh [--for-tests]
#
#   flink/       Flink itself, from the package apache-flink-libraries of PyPI
#   job-server/  Beam's job server for it, from Maven (job-server/pom.xml)
#   bin/         Beam's program that starts Python workers, from Go
#
# and with --for-tests also bin/prism, Beam's runner in Go, and operator/, the schema of what Flink's Kubernetes operator takes (Maven).
#
# What comes from PyPI and Maven is compared with SHA256SUMS; what comes from Go, by Go itself with its checksum database.
# Needs pip, mvn, go, and package indexes. The cache: DDB2PG_FLINK_CACHE, by default in ~/.cache.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${DDB2PG_FLINK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ddb2pg/flink}
flink=1.19.3
beam=2.77.0
operator=1.10.0
# A job server sends its whole class path, 160 MB, along with each job, save what lies in such a folder (Beam's PipelineResources). The
# TaskManagers that up.sh starts have it already.
jars=gradle/wrapper
export LC_ALL=C # the order of names

require() {
    command -v "$1" > /dev/null || { echo "fetch.sh: $1 is missing; $2" >&2; exit 1; }
}

fetch_flink() {
    local sdist=apache-flink-libraries-$flink part=$cache/flink.part
    rm -rf "$part" && mkdir -p "$part/sdist"
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$part/sdist" "apache-flink-libraries==$flink"
    tar -xzf "$part/sdist/$sdist.tar.gz" -C "$part" --strip-components=3 --wildcards \
        "$sdist/deps/lib/flink-dist-*.jar" "$sdist/deps/lib/log4j-*.jar"
    rm -r "$part/sdist"
    check flink "$part" && mv "$part" "$cache/flink"
}

fetch_job_server() {
    local part=$cache/job-server.part
    rm -rf "$part"
    mvn --batch-mode --quiet --file "$here/job-server/pom.xml" dependency:copy-dependencies -DoutputDirectory="$part/$jars"
    check job-server "$part/$jars" && mv "$part" "$cache/job-server"
}

fetch_operator() {
    local part=$cache/operator.part
    rm -rf "$part"
    mvn --batch-mode --quiet dependency:copy -Dartifact="org.apache.flink:flink-kubernetes-operator-api:$operator" -DoutputDirectory="$part"
    check operator "$part" && mv "$part" "$cache/operator"
}

# Exactly the files that SHA256SUMS names, each as it says.
check() {
    local name=$1 folder=$2
    (cd "$folder" && diff <(sha256sum -- *.jar) <(sed -n "s|  $name/|  |p" "$here/SHA256SUMS")) >&2 || {
        echo "fetch.sh: what was fetched for $name is not what SHA256SUMS says; nothing of it is used, look at the lines above" >&2
        exit 1
    }
}

# Without what makes such a program quick or debuggable, which would take Go a third longer: one starts workers, the other runs tests.
fetch_program() {
    GOBIN=$cache/bin CGO_ENABLED=0 go install -ldflags='-s -w' -gcflags='all=-N -l -dwarf=false' "github.com/apache/beam/sdks/v2/$1@v$beam"
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9 # whoever comes second finds it all there
[ -d "$cache/job-server" ] || require mvn "install Maven (apt-get install maven)"
[ -x "$cache/bin/container" ] || require go "install Go 1.26 or later (apt-get install golang, where that is new enough)"
if [ ! -d "$cache/flink" ]; then
    echo "fetching Flink $flink (230 MB, once) ..."
    fetch_flink
fi
if [ ! -d "$cache/job-server" ]; then
    echo "fetching Beam's job server (150 MB, once) ..."
    fetch_job_server
fi
if [ ! -x "$cache/bin/container" ]; then
    echo "building the program that starts workers (once) ..."
    fetch_program python/container
fi
[ "${1:-}" = --for-tests ] || exit 0
if [ ! -d "$cache/operator" ]; then
    fetch_operator
fi
if [ ! -x "$cache/bin/prism" ]; then
    echo "building Prism (two minutes, once) ..."
    fetch_program go/cmd/prism
fi
