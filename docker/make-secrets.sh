#!/bin/sh
# Makes the secrets of compose.yaml in secrets/ beside this file. What is there already stays.
#
# The folder is for its owner alone. The files in it can be read by all who get there, which is the
# container that a file is mounted into: its user has another number than whoever runs this, and
# Compose doesn't change owners of files. For the same reason the database's container, which makes
# the tokens of the proxy and of Grafana, may write to their folders.
set -eu

folder=$(dirname "$0")/secrets
umask 077
mkdir -p "$folder"
chmod 0700 "$folder"

for name in influxdb-admin-password influxdb-admin-token grafana-admin-password; do
    secret=$folder/$name
    if [ ! -e "$secret" ]; then
        new=$(mktemp "$folder/.new-XXXXXX")
        od -An -v -N 32 -t x1 /dev/urandom | tr -d ' \n' >"$new"
        chmod 0444 "$new"
        # A link, since that replaces nothing: of two runs at once, the first one's stays.
        ln "$new" "$secret" 2>/dev/null || true
        rm -f "$new"
    fi
    if [ "$(wc -c <"$secret")" -lt 16 ]; then
        echo "make-secrets: $secret is too short: remove it, and run this again" >&2
        exit 1
    fi
done

for reader in proxy grafana; do
    mkdir -p "$folder/$reader"
    chmod 0777 "$folder/$reader"
done
