#!/bin/sh
# Builds Telegraf with a few of its plugins, by way of the Go module proxy.
#
#     tests/go/build-telegraf.sh listeners    what `make bench` compares with: its two InfluxDB listeners
#     tests/go/build-telegraf.sh outputs      what the tests write with: its two InfluxDB outputs, and points from a file
#
# Puts it at ${XDG_CACHE_HOME:-~/.cache}/undertone/telegraf-v1.37.2-SET/telegraf, and does nothing if it is there
# already. Needs the Go that Telegraf's go.mod names (1.25.5) or newer; an older one that knows how (1.21) gets
# that for itself from the Go module proxy. Some minutes when nothing is cached. The last line on stdout is the
# path; progress goes to stderr.
set -eu

version=v1.37.2
case ${1:-} in
listeners) plugins=inputs.influxdb_listener,inputs.influxdb_v2_listener,outputs.discard ;;
outputs) plugins=inputs.file,parsers.influx,outputs.influxdb,outputs.influxdb_v2 ;;
*)
    echo "usage: $0 listeners|outputs" >&2
    exit 2
    ;;
esac
folder=${XDG_CACHE_HOME:-${HOME:?}/.cache}/undertone/telegraf-$version-$1

say() { echo "telegraf $version ($1): $2" >&2; }

for program in go flock; do
    command -v "$program" >/dev/null || {
        say "$1" "$program is missing: run tests/tools/install.sh test"
        exit 1
    }
done

mkdir -p "$folder"
exec 9>"$folder/lock"
flock -n 9 || {
    say "$1" "another run is building it; waiting for that"
    flock 9
}
if [ ! -x "$folder/telegraf" ]; then
    say "$1" "building (some minutes when nothing is cached)"
    # What lies there is of a run that was killed.
    rm -rf "$folder/build"
    # Away from any module: what is built is what Telegraf's own go.mod and go.sum say. Debian's Go doesn't
    # look for a newer one unless it is told to.
    cd "$folder"
    GOTOOLCHAIN=auto GOBIN=$folder/build go install -tags "custom,$plugins" \
        -ldflags '-s -w' "github.com/influxdata/telegraf/cmd/telegraf@$version" >&2
    mv "$folder/build/telegraf" "$folder/telegraf"
    rmdir "$folder/build"
    say "$1" "built"
fi
echo "$folder/telegraf"
