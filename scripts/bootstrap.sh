#!/usr/bin/env bash
# Prepare this checkout for `make demo` and `make test`: the system libraries that napari needs for a
# (virtual) screen, and a virtual environment with the pinned versions. Does nothing when all is there.
#
# usage: scripts/bootstrap.sh [VENV]        (default .venv)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
python=${PYTHON:-python3}

fail() { printf 'bootstrap: %s\n' "$1" >&2; exit 1; }

# Debian's package for each file that must be found: soname, path pattern or command.
system_packages() {
    cat <<'TABLE'
xvfb xvfb-run
xauth xauth
libgl1 libGL.so.1
libgl1-mesa-dri /usr/lib/*/dri/swrast_dri.so
libegl1 libEGL.so.1
libglib2.0-0 libglib-2.0.so.0
libdbus-1-3 libdbus-1.so.3
libfontconfig1 libfontconfig.so.1
fonts-dejavu-core /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
libxkbcommon-x11-0 libxkbcommon-x11.so.0
libxcb-cursor0 libxcb-cursor.so.0
libxcb-icccm4 libxcb-icccm.so.4
libxcb-image0 libxcb-image.so.0
libxcb-keysyms1 libxcb-keysyms.so.1
libxcb-randr0 libxcb-randr.so.0
libxcb-render-util0 libxcb-render-util.so.0
libxcb-shape0 libxcb-shape.so.0
libxcb-xkb1 libxcb-xkb.so.1
TABLE
}

present() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *.so.*) grep -qF "$1" <<<"$libraries" ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

install_system_packages() {
    [ "$(uname -s)" = Linux ] || return 0
    libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null || true)
    local missing=() package file
    while read -r package file; do
        present "$file" || missing+=("$package")
    done < <(system_packages)
    "$python" -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        fail "missing from the system: ${missing[*]} (Debian's names). Install your system's equivalents."
    [ "$(id -u)" = 0 ] ||
        fail "missing from the system; run as root, then try again: apt-get install ${missing[*]}"
    printf 'bootstrap: installing %s\n' "${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || printf 'bootstrap: apt-get update failed, trying with the known lists\n' >&2
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
        fail "apt-get could not install: ${missing[*]}"
}

# The CPU build of torch is a tenth of the default Linux download. It comes first, so that nothing
# later in the list can pull the other one. Where no index of pip's settings offers it, the default
# build serves.
install_torch() {
    local pin=$1
    if [ "$(uname -s)" = Linux ]; then
        "$venv/bin/python" -m pip install -qq -c constraints.txt "torch==$pin+cpu" 2>/dev/null && return
    fi
    "$venv/bin/python" -m pip install -qq -c constraints.txt "torch==$pin"
}

install_environment() {
    local stamp
    stamp="$venv/.samari-$(cat pyproject.toml constraints.txt scripts/bootstrap.sh | cksum | tr ' ' '-')"
    [ -e "$stamp" ] && return 0
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed, $("$python" --version) was found; set PYTHON=/path/to/python3"
    printf 'bootstrap: installing into %s (a few minutes the first time)\n' "$venv"
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    install_torch "$(sed -n 's/^torch==//p' constraints.txt)"
    "$venv/bin/python" -m pip install -qq -c constraints.txt -e '.[test]'
    rm -f "$venv"/.samari-*
    touch "$stamp"
}

install_system_packages
install_environment
