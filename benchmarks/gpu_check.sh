#!/usr/bin/env bash
# Checks and figures on a GPU in less than eight minutes: tests of every device, then gpu_check.py and its page.
#   benchmarks/gpu_check.sh [--max-steps 300]
# PYTHON is the interpreter, `python` by default. Without a GPU it runs at small sizes.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python}
timeout 180 "$python" -m pytest -q -p no:cacheprovider tests/test_devices.py
timeout 300 "$python" benchmarks/gpu_check.py "$@"
