#!/usr/bin/env bash
# Prepare the environment of `make bench`: torch as pinned, the peers, what samari's library needs.
# Does nothing when all is there.
#
# usage: scripts/bootstrap-bench.sh [VENV]        (default .venv-bench)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv-bench}
python=${PYTHON:-python3}
stamp="$venv/.samari-$(cat constraints.txt scripts/bootstrap-bench.sh | cksum | tr ' ' '-')"
[ -e "$stamp" ] && exit 0

pin=$(sed -n 's/^torch==//p' constraints.txt)
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install -qq)
# The CPU build is a tenth of the default one; where no index offers it, the default one serves.
"${pip[@]}" "torch==$pin+cpu" 2>/dev/null ||
    "${pip[@]}" "torch==$pin"
"${pip[@]}" -c constraints.txt transformers numpy safetensors huggingface_hub Pillow scipy \
    scikit-image tifffile matplotlib
"${pip[@]}" segment-anything onnx onnxruntime openvino
rm -f "$venv"/.samari-*
touch "$stamp"
