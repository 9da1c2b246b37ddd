#!/bin/sh
# Print a Python 3.13 that works: a pyenv shim called python3.13 may refuse to run.
for candidate in python3.13 python3; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
        command -v "$candidate"
        exit 0
    fi
done
root=${PYENV_ROOT:-$(pyenv root 2>/dev/null)}
if [ -n "$root" ]; then
    newest=$(find "$root"/versions/3.13*/bin/python3.13 2>/dev/null | sort -t. -k3 -n | tail -n 1)
    if [ -n "$newest" ] && "$newest" -c 'import venv' 2>/dev/null; then
        echo "$newest"
        exit 0
    fi
fi
echo "Python 3.13 is needed and was not found: install it (pyenv install 3.13, uv python install" \
     "3.13, or your system's python3.13 and python3.13-venv packages) and put it on PATH." >&2
exit 1
