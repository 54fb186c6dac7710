#!/bin/sh
# Gives the proxy a token that can only write to the bucket, and Grafana one that can only read it.
# The database's image runs this once, at the end of its setup; the admin's token stays there.
set -eu

umask 022
# On standard input, since other processes see a command line.
authorization() {
    printf 'header = "Authorization: Token %s"\n' "$(cat "$DOCKER_INFLUXDB_INIT_ADMIN_TOKEN_FILE")"
}

# token ACTION FOLDER
token() {
    answer=$(authorization | curl --config - --fail --silent --show-error \
        --header 'Content-Type: application/json' \
        --data "{
            \"orgID\": \"$DOCKER_INFLUXDB_INIT_ORG_ID\",
            \"description\": \"$1 $DOCKER_INFLUXDB_INIT_BUCKET\",
            \"permissions\": [{
                \"action\": \"$1\",
                \"resource\": {
                    \"type\": \"buckets\",
                    \"id\": \"$DOCKER_INFLUXDB_INIT_BUCKET_ID\",
                    \"orgID\": \"$DOCKER_INFLUXDB_INIT_ORG_ID\"
                }
            }]
        }" "$INFLUX_HOST/api/v2/authorizations")
    token=$(printf '%s\n' "$answer" | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
    if [ -z "$token" ]; then
        echo "tokens: the database's answer has no token" >&2
        exit 1
    fi
    # Moved into place: whoever reads it has all of it. One of a database that is gone is replaced.
    printf '%s' "$token" >"$2/.influxdb-token.new"
    mv -f "$2/.influxdb-token.new" "$2/influxdb-token"
}

token write /tokens/proxy
token read /tokens/grafana
