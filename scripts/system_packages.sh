#!/bin/sh
# Installs the Debian packages that the tests need and that are not there yet, where it may; where
# it may not, says which tests lack what, and fails.
#   usage: system_packages.sh PYTHON
set -u
python=${1:-python3}
missing=""
reasons=""

need() { # package, what lacks it, test command ...
    package=$1
    purpose=$2
    shift 2
    "$@" >/dev/null 2>&1 && return
    missing="$missing $package"
    reasons="$reasons
  $package: $purpose"
}

header() {
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    test -f "$include/Python.h"
}

need gcc "the tests that compare the compiled loop with the interpreted one" command -v cc
need curl "the test that follows the README" command -v curl
need libc6-dev "the same" test -f /usr/include/stdio.h
need python3-dev "the same" header
need python3-tk "the tests of the panel" "$python" -c "import tkinter"
need xvfb "the same" command -v Xvfb
need x11-utils "the same" command -v xwininfo
need chromium "the tests that drive a browser" command -v chromium
need chromium-driver "the same" command -v chromedriver

[ -z "$missing" ] && exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    echo "Installing$missing ..."
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of words
    if apt-get -qq update && apt-get -qq install --yes --no-install-recommends $missing >/dev/null; then
        exit 0
    fi
fi
echo "Not on this machine, and not to be installed by this user:$reasons" >&2
exit 1
