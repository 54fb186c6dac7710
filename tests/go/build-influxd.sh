#!/bin/sh
# Builds InfluxDB 2 (influxd) from its source by way of the Go module proxy, and puts it at
#
#     ${XDG_CACHE_HOME:-~/.cache}/undertone/influxd-v2.7.12/influxd
#
# Does nothing if it is there already. Needs Go >= 1.23, Rust, a C compiler and pkg-config. About
# four minutes on two cores. The last line on stdout is the path; progress goes to stderr. All that
# is built lies in a folder beside the result, which is removed at the end; only Go's module cache
# and Cargo's registry keep what they downloaded.
set -eu

version=v2.7.12
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/undertone/influxd-$version
build=$cache/build

say() { echo "influxd $version: $*" >&2; }

for program in go cargo gcc pkg-config flock; do
    command -v "$program" >/dev/null || {
        say "$program is missing: run tests/tools/install.sh test"
        exit 1
    }
done

mkdir -p "$cache"
exec 9>"$cache/lock"
flock -n 9 || {
    say "another run is building it; waiting for that"
    flock 9
}
if [ -x "$cache/influxd" ]; then
    echo "$cache/influxd"
    exit 0
fi

# Whoever holds the lock owns the build folder: what lies there is of a run that was killed.
clean() { chmod -R u+w "$build" 2>/dev/null || true; rm -rf "$build"; }
clean
trap clean EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$build/bin"

# A Go cache of its own, because pkg-config leaves half-copied sources there when it is killed, and
# takes them for whole ones the next time.
export GOCACHE="$build/go-cache" GOFLAGS=-mod=readonly CGO_ENABLED=1

# Flux pins an old toolchain that is seldom installed: name the one that is in use here.
if [ -z "${RUSTUP_TOOLCHAIN:-}" ] && command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(cd / && rustup show active-toolchain | cut -d ' ' -f 1)
    export RUSTUP_TOOLCHAIN
fi
# What the calling build sets for its own crates must not reach those of Flux.
unset CARGO_TARGET_DIR CARGO_BUILD_TARGET CARGO_BUILD_TARGET_DIR RUSTFLAGS CARGO_ENCODED_RUSTFLAGS \
    RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER

# Flux denies warnings by default, and newer compilers warn about more.
cat >"$build/bin/cargo-flux" <<EOF
#!/bin/sh
[ "\$1" = build ] && shift && set -- build -p flux --no-default-features --features cffi "\$@"
exec "${CARGO:-cargo}" "\$@"
EOF
chmod +x "$build/bin/cargo-flux"

cd "$here"
say "getting the source (Go module proxy)"
go mod download github.com/influxdata/influxdb/v2 github.com/influxdata/pkg-config >&2
go build -o "$build/bin/pkg-config" github.com/influxdata/pkg-config >&2

# The helper looks for the real pkg-config on PATH, so it is named by PKG_CONFIG and not put there.
say "building (about four minutes on two cores)"
CARGO="$build/bin/cargo-flux" PKG_CONFIG="$build/bin/pkg-config" \
    go build -tags sqlite_foreign_keys,sqlite_json -ldflags '-s -w' -o "$build/influxd" \
    github.com/influxdata/influxdb/v2/cmd/influxd >&2

"$build/influxd" version >&2
mv "$build/influxd" "$cache/influxd"
say "built"
echo "$cache/influxd"
