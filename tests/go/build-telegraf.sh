#!/bin/sh
# Builds Telegraf with its two InfluxDB listeners alone, by way of the Go module proxy, and puts it at
#
#     ${XDG_CACHE_HOME:-~/.cache}/undertone/telegraf-v1.37.2/telegraf
#
# Does nothing if it is there already. Needs the Go that Telegraf's go.mod names (1.25.5) or newer. The last line on
# stdout is the path; progress goes to stderr.
set -eu

version=v1.37.2
folder=${XDG_CACHE_HOME:-${HOME:?}/.cache}/undertone/telegraf-$version

if [ ! -x "$folder/telegraf" ]; then
    echo "telegraf $version: building (some minutes when nothing is cached)" >&2
    mkdir -p "$folder"
    # Away from any module: what is built is what Telegraf's own go.mod and go.sum say.
    cd "$folder"
    GOBIN=$folder/build go install -tags custom,inputs.influxdb_listener,inputs.influxdb_v2_listener,outputs.discard \
        -ldflags '-s -w' "github.com/influxdata/telegraf/cmd/telegraf@$version" >&2
    mv "$folder/build/telegraf" "$folder/telegraf"
    rmdir "$folder/build"
fi
echo "$folder/telegraf"
