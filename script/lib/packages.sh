# shellcheck shell=bash disable=SC2034
# script/lib/packages.sh: installs missing Debian packages; sourced by script/server and script/test.

build_packages="gcc libc6-dev meson ninja-build pkg-config python3 libuv1-dev libssl-dev zlib1g-dev liblmdb-dev libcrypt-dev libutf8proc-dev libicu-dev libseccomp-dev libmicrohttpd-dev openssl libargon2-dev libpam0g-dev libldap-dev libsqlite3-dev libpq-dev libjansson-dev libcurl4-openssl-dev"

# need_packages NAME...: says what it installs; as root, or with sudo.
need_packages() {
    local missing="" name as_root=""
    if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
        echo "This is not Debian. Needed are what Debian calls: $*" >&2
        return 0
    fi
    for name in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2> /dev/null)" = installed ] || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo > /dev/null; then
            echo "Please install (as root): apt-get install$missing" >&2
            return 1
        fi
        as_root=sudo
    fi
    echo "Installing Debian packages:$missing" >&2
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2 || {
        $as_root apt-get update -q >&2 &&
            $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
    }
}

# meson_options TYPE: the options of a build type.
meson_options() {
    case $1 in
        release) echo "--buildtype=debugoptimized -Doptimization=2" ;;
        debug) echo "--buildtype=debug" ;;
        asan) echo "--buildtype=debug -Doptimization=1 -Db_sanitize=address,undefined" ;;
        tsan) echo "--buildtype=debug -Doptimization=1 -Db_sanitize=thread" ;;
        clang) echo "--buildtype=debugoptimized -Doptimization=2 -Db_lundef=false" ;;
        *) echo "unknown build type: $1" >&2; return 2 ;;
    esac
}

# build_programs ROOT TYPE [all]: the programs (or everything) in ROOT/build-TYPE; one at a time.
build_programs() {
    local dir=$1/build-$2 targets="" options
    options=$(meson_options "$2") || return
    mkdir -p "$dir"
    (
        flock 9
        if [ ! -f "$dir/build.ninja" ]; then
            [ "$2" != clang ] || export CC=clang
            # shellcheck disable=SC2086
            meson setup $options "$dir" "$1" > "$dir/setup.log" 2>&1 || { cat "$dir/setup.log" >&2; exit 1; }
        fi
        if [ "${3:-}" != all ]; then
            targets=$(ninja -C "$dir" -t targets all | sed -n 's#^\(src/[a-z]*/martlet[a-z-]*\): .*_LINKER.*#\1#p')
        fi
        # shellcheck disable=SC2086
        ninja -C "$dir" $targets > "$dir/build.log" 2>&1 || { tail -n 60 "$dir/build.log" >&2; exit 1; }
    ) 9> "$dir/lock"
}
