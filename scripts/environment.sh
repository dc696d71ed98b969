#!/bin/sh
# Makes a virtual environment and installs sections of requirements.lock into it, hashes checked: what `make` calls.
#
#   scripts/environment.sh FOLDER LOCK [SECTION...]
#
# Without sections the whole lock is installed. What goes wrong is said in one line, with the command that mends it.
set -eu

folder=$1
lock=$2
shift 2

fail() {
    echo "parley: $*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

has_venv() {
    "$1" -c 'import venv, ensurepip' 2>/dev/null
}

find_python() {
    # The system's own comes first: distributions build it with profiles of real programs, pyenv by itself does not, and
    # requests take a quarter longer on the latter (docs/decisions/0025-python.md).
    system=${SYSTEM_PYTHON:-/usr/bin/python3.11}
    if [ -z "${PYTHON:-}" ] && is_new_enough "$system" && has_venv "$system"; then
        echo "$system"
        return
    fi
    for candidate in ${PYTHON:-python3.11 python3 python3.14 python3.13 python3.12}; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found: apt-get install python3.11 python3.11-venv (or: make PYTHON=/path/to/python3.11)"
}

make_environment() {
    python=$(find_python)
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    has_venv "$python" ||
        fail "$python has no venv module: apt-get install $version-venv"
    echo "Making $folder with $("$python" --version)"
    "$python" -m venv --clear "$folder" >/dev/null ||
        fail "the environment $folder could not be made: apt-get install $version-venv"
}

is_usable() {
    is_new_enough "$folder/bin/python" && "$folder/bin/python" -c 'import pip' 2>/dev/null
}

sections() {
    if [ $# -eq 0 ]; then
        cat "$lock"
        return
    fi
    for section in "$@"; do
        sed -n "/^#: section $section\$/,/^#: section /p" "$lock"
    done
}

is_usable || make_environment

wanted=$folder/wanted.txt
sections "$@" >"$wanted"
grep -q '==' "$wanted" || fail "$lock has no section among: $*"
# A tenth of what serve needs would be bytecode of modules that nothing imports; `make` has the others compiled by importing them.
case "$*" in serve) compiling=--no-compile ;; *) compiling=--compile ;; esac
echo "Installing $(grep -c '^[a-z0-9].*==' "$wanted") packages ($lock${1:+: $*})"
"$folder/bin/python" -m pip install -qq --disable-pip-version-check $compiling --require-hashes --requirement "$wanted" ||
    fail "installing from $lock failed; is the package registry reachable? Then: make clean, and try again"
