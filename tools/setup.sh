#!/bin/sh
# Sets up what `make demo` (argument: demo) or `make test` (argument: test) needs:
# Debian/Ubuntu packages where root or sudo allow it, and a virtual environment. Quick when nothing is missing.
set -eu

purpose=${1:?usage: setup.sh demo|test}
python=${PYTHON:-python3}
venv=${VENV:-.venv}

log=$(mktemp)
child=
trap 'rm -f "$log"' EXIT
trap 'stopped 130' INT
trap 'stopped 143' TERM HUP

# stopped STATUS: what was started in the background does not hear Ctrl-C; half a `pip install` is done again.
stopped() {
    [ -z "$child" ] || { kill "$child" 2>/dev/null && wait "$child" 2>/dev/null || true; }
    echo
    echo "setup: interrupted; the same command goes on from here" >&2
    exit "$1"
}

# with_dots TEXT COMMAND…: says what it does, that it still does (a dot on a terminal, a line in a log), and the end of
# the output when it fails.
with_dots() {
    what=$1
    shift
    [ -t 1 ] && printf 'setup: %s ' "$what" || echo "setup: $what"
    "$@" >"$log" 2>&1 &
    child=$!
    seconds=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 2
        seconds=$((seconds + 2))
        if [ -t 1 ]; then
            printf .
        elif [ $((seconds % 20)) = 0 ]; then
            echo "setup: still at it after $seconds s"
        fi
    done
    status=0
    wait "$child" || status=$?
    child=
    if [ "$status" = 0 ]; then
        [ -t 1 ] && echo " done" || echo "setup: done after $seconds s"
    else
        echo "setup: failed:"
        tail -n 20 "$log" >&2
    fi
    return "$status"
}

# program:package. The compiler for the host is needed; without the others the demo runs on the host alone.
needed="cc:gcc cmake:cmake ninja:ninja-build arm-none-eabi-gcc:gcc-arm-none-eabi qemu-system-arm:qemu-system-arm"
if [ "$purpose" = test ]; then
    needed="$needed clang:clang chromium:chromium ccache:ccache
        riscv64-unknown-elf-gcc:gcc-riscv64-unknown-elf qemu-system-riscv32:qemu-system-misc
        xtensa-lx106-elf-gcc:gcc-xtensa-lx106"
fi

missing=
for pair in $needed; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
done
case "$missing" in *gcc-arm-none-eabi*) missing="$missing libnewlib-arm-none-eabi" ;; esac
case "$missing" in *gcc-riscv64-unknown-elf*) missing="$missing picolibc-riscv64-unknown-elf" ;; esac
case "$missing" in *gcc-xtensa-lx106*) missing="$missing picolibc-xtensa-lx106-elf" ;; esac
# Debian's python3 comes without the venv module's pip.
[ -x "$venv/bin/python" ] || "$python" -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"

apt_install() {
    "$@" dpkg --configure -a # what an earlier run left half done
    "$@" apt-get -o DPkg::Lock::Timeout=300 update -qq && "$@" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing
}

if [ -n "$missing" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "setup: missing:$missing (Debian's names); see 'stapes doctor' for this system" >&2
    elif [ "$(id -u)" = 0 ]; then
        with_dots "installing$missing" apt_install || true
    elif sudo -n true 2>/dev/null; then
        with_dots "installing$missing (sudo)" apt_install sudo || true
    else
        echo "setup: missing programs; to install them run:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends$missing" >&2
    fi
fi

# The sanitizers and the fuzzer of clang are a package of their own, named after its version.
if [ "$purpose" = test ] && command -v clang >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    runtime="libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
    if ! dpkg -s "$runtime" >/dev/null 2>&1; then
        missing=" $runtime"
        with_dots "installing $runtime" apt_install || true
    fi
fi

# The stamp holds the hash of pyproject.toml: the environment follows when the dependencies change.
stamp="$venv/.stapes-$purpose"
want=$(cksum pyproject.toml)
if [ ! -x "$venv/bin/python" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$want" ]; then
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "setup: stapes needs Python 3.11 or newer, $python is $("$python" --version 2>&1); set PYTHON=" >&2
        exit 1
    fi
    [ -x "$venv/bin/python" ] || with_dots "making $venv" "$python" -m venv "$venv"
    [ "$purpose" = test ] && packages=".[test,train]" || packages=".[hil]"
    with_dots "installing Python packages for $packages (once)" \
        "$venv/bin/python" -m pip install --disable-pip-version-check -e "$packages"
    echo "$want" >"$stamp"
fi
