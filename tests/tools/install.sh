#!/bin/sh
# Installs what is missing for the demo or the tests, from Debian's or Ubuntu's packages.
#
#     tests/tools/install.sh privacy the same as for the demo, and scikit-learn for Debian's own Python
#     tests/tools/install.sh demo    tor, a C compiler, pkg-config, sqlite3
#     tests/tools/install.sh test    the same, and faketime, strace, curl, util-linux, procps, openssl, InfluxDB 1,
#                                    chromium, docker-compose and Go >= 1.23
#
# docker-compose only reads a file here: neither a container engine nor a daemon comes with it.
#
# Looks first, and does nothing if all is there. No service is started, and none is left running.
set -eu

minimum_go=1.23
say() { echo "install: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

command -v cargo >/dev/null || fail "Rust is missing: see https://rustup.rs"
case ${1:-} in
demo) wanted='tor:tor tor-gencert:tor gcc:gcc pkg-config:pkg-config sqlite3:sqlite3' ;;
test) wanted='tor:tor tor-gencert:tor gcc:gcc pkg-config:pkg-config sqlite3:sqlite3
        faketime:faketime strace:strace curl:curl flock:util-linux setsid:util-linux free:procps
        openssl:openssl chromium:chromium docker-compose:docker-compose' ;;
privacy) wanted='tor:tor tor-gencert:tor gcc:gcc pkg-config:pkg-config sqlite3:sqlite3' ;;
*) fail "usage: $0 demo|test|privacy" ;;
esac

# Debian keeps daemons in sbin, which isn't on everybody's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# Whether `go` is here and new enough; Go's own tool compares.
has_go() {
    command -v go >/dev/null || return 1
    version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || return 1
    newer_or_equal "${version#go}" "$minimum_go"
}

newer_or_equal() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

# An InfluxDB 1. What is called influxd may also be an InfluxDB 2.
has_influxdb1() {
    for program in "${UNDERTONE_INFLUXD1:-influxd}" /usr/bin/influxd; do
        "$program" version 2>/dev/null | grep -q '^InfluxDB v1\.' && return 0
    done
    return 1
}

packages=''
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null && continue
    case " $packages " in *" ${pair##*:} "*) ;; *) packages="$packages ${pair##*:}" ;; esac
done
# Debian's gcc only recommends the C library's headers, without which nothing links.
if ! echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null; then
    packages="$packages gcc libc6-dev"
fi
# Debian's own Python, whatever else is on PATH: its packages are there and nowhere else.
has_sklearn() { /usr/bin/python3 -c 'import sklearn' 2>/dev/null; }
if [ "$1" = privacy ] && ! has_sklearn; then packages="$packages python3-sklearn"; fi
had_influxdb1=yes
if [ "$1" = test ] && ! has_influxdb1; then
    had_influxdb1=no
    packages="$packages influxdb"
fi
need_go=no
if [ "$1" = test ] && ! has_go; then need_go=yes; fi

if [ -z "$packages" ] && [ $need_go = no ]; then
    say "all that the $1 needs is here"
    exit 0
fi

go_help="Go $minimum_go or newer is missing: install it from https://go.dev/dl and put it on PATH"
if ! command -v apt-get >/dev/null; then
    [ -z "$packages" ] || say "missing:$packages"
    [ $need_go = no ] || say "$go_help"
    fail "there is no apt-get here: install that by other means, and run this again"
fi

as_root=''
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "needs root (or sudo) to install:$packages"
    as_root=sudo
    say "using sudo to install packages"
fi

# A package must not start its daemon. Where something else decides about that already (as in most
# containers), it is set aside and put back.
policy=/usr/sbin/policy-rc.d
restore() {
    $as_root rm -f "$policy"
    if [ -e "$policy.undertone" ]; then $as_root mv "$policy.undertone" "$policy"; fi
}
forbid_services() {
    # Ours is of a run that was killed: what was there before it lies aside already, or was nothing.
    if [ -e "$policy" ] && ! grep -q '^# undertone' "$policy"; then
        $as_root mv "$policy" "$policy.undertone"
    fi
    trap restore EXIT
    trap 'exit 1' INT TERM HUP
    printf '#!/bin/sh\n# undertone: for the time of an installation\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
}

install_packages() {
    say "installing: $*"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

say "updating the package lists"
$as_root apt-get update >&2
had_tor=yes
command -v tor >/dev/null || had_tor=no
forbid_services
# shellcheck disable=SC2086 # a list of words
[ -z "$packages" ] || install_packages $packages
# The tests start tor themselves; the daemon would start at the next boot.
if [ $had_tor = no ] && [ -d /run/systemd/system ]; then
    say "the system's own tor daemon is left disabled (systemctl enable --now tor turns it on)"
    $as_root systemctl disable tor.service >&2 || say "could not disable tor.service"
fi

if [ $had_influxdb1 = no ] && [ -d /run/systemd/system ]; then
    say "the system's own InfluxDB is left disabled (systemctl enable --now influxdb turns it on)"
    $as_root systemctl disable influxdb.service >&2 || say "could not disable influxdb.service"
fi

if [ $need_go = yes ]; then
    offered=$(apt-cache policy golang-go | sed -n 's/^ *Candidate: *\([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p')
    if [ -n "$offered" ] && newer_or_equal "$offered" "$minimum_go"; then
        install_packages golang-go
    fi
    has_go || fail "$go_help"
fi

[ "$1" != privacy ] || has_sklearn || fail "/usr/bin/python3 still has no sklearn after the installation"
[ "$1" != test ] || has_influxdb1 || fail "no InfluxDB 1 is here after the installation: set \
UNDERTONE_INFLUXD1 to the path of its influxd"
for pair in $wanted; do
    command -v "${pair%%:*}" >/dev/null || fail "${pair%%:*} is still missing after the installation"
done
say "done"
