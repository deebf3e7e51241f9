#!/usr/bin/env bash
# .ci/venv.sh FOLDER EXTRAS [CONSTRAINTS]
#
# Makes the virtual environment FOLDER when it is not there, and installs this project into it,
# editable, with the comma-separated EXTRAS. Needs nothing but a Python that is new enough.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$1 extras=$2 constraints=${3:-}
export PIP_DISABLE_PIP_VERSION_CHECK=1

# PYTHON=... overrides the search.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! python=$(find_python); then
        cat >&2 <<'MESSAGE'
chainrule needs Python 3.11 or newer with its venv module, and found none.
Looked for: python3, python3.14, python3.13, python3.12, python3.11 (or what PYTHON names).
Install one (on Debian and Ubuntu: apt install python3 python3-venv) or name yours:
    make test PYTHON=/path/to/python3
MESSAGE
        exit 1
    fi
    echo "making $folder with $("$python" --version)"
    "$python" -m venv --clear "$folder"
fi

echo "installing chainrule[$extras] into $folder (up to a few minutes the first time)"
"$folder/bin/python" -m pip install -qq ${constraints:+-c "$constraints"} -e ".[$extras]"
