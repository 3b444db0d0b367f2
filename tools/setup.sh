#!/usr/bin/env bash
# Prepare the virtual environment: uv where it is missing, locked dependencies, this package, what ui/ needs.
set -euo pipefail
venv=$1
python=""
for candidate in python3 python3.13 python3.12 python3.11; do
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
    python=$(command -v "$candidate")
    break
  fi
done
if [ -z "$python" ]; then
  echo "Python 3.11, 3.12 or 3.13 is needed: apt-get install python3" >&2
  exit 1
fi
if ! command -v uv >/dev/null; then
  # Debian's Python refuses to install beside its own packages, so uv gets a small environment of its own.
  if ! "$python" -m venv "$venv-uv" >/dev/null 2>&1; then
    "$(dirname "$0")/system-packages.sh" python3-venv
    "$python" -m venv "$venv-uv"
  fi
  "$venv-uv/bin/pip" install --quiet uv
  PATH="$PWD/$venv-uv/bin:$PATH"
fi
uv venv --quiet --allow-existing --python "$python" "$venv"
# Compiled once here: every start of a command would compile what it imports again where Python may not write.
uv pip sync --quiet --compile-bytecode --python "$venv/bin/python" --require-hashes requirements-dev.txt
# The portal is made below, by the same Node as its tests.
WARDLIGHT_SKIP_PORTAL=1 uv pip install --quiet --python "$venv/bin/python" --no-deps --editable .
"$(dirname "$0")/portal.sh" "$venv"
