#!/usr/bin/env bash
# Prepare the environment of `make bench BENCH=automatic`: the reference, transformers 4.37.2, which
# needs an older numpy, and what samari's library needs. Does nothing when all is there.
#
# usage: scripts/bootstrap-reference.sh [VENV]        (default .venv-reference)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/side-environment.sh scripts/bootstrap-reference.sh "${1:-.venv-reference}"
"${pip[@]}" "transformers==4.37.2" "numpy<2" safetensors huggingface_hub Pillow scipy \
    scikit-image tifffile
finish
