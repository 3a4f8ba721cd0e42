#!/usr/bin/env bash
# Prepare the environment of `make bench`: torch as pinned, the peers, what samari's library needs.
# Does nothing when all is there.
#
# usage: scripts/bootstrap-bench.sh [VENV]        (default .venv-bench)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/side-environment.sh scripts/bootstrap-bench.sh "${1:-.venv-bench}"
"${pip[@]}" -c constraints.txt transformers numpy safetensors huggingface_hub Pillow scipy \
    scikit-image tifffile matplotlib
"${pip[@]}" segment-anything onnx onnxruntime openvino
finish
