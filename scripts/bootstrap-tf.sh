#!/usr/bin/env bash
# Prepare the environment of `make test-tf`: torch as pinned, TensorFlow, JAX, what samari.sam needs.
# TensorFlow decides the other versions. Does nothing when all is there.
#
# usage: scripts/bootstrap-tf.sh [VENV]        (default .venv-tf)
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv-tf}
python=${PYTHON:-python3}
stamp="$venv/.samari-$(cat constraints.txt scripts/bootstrap-tf.sh | cksum | tr ' ' '-')"
[ -e "$stamp" ] && exit 0

pin=$(sed -n 's/^torch==//p' constraints.txt)
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip install -qq)
# The CPU builds are a tenth of the default ones; where no index offers them, the default ones serve.
"${pip[@]}" "torch==$pin+cpu" 2>/dev/null ||
    "${pip[@]}" "torch==$pin"
"${pip[@]}" "tensorflow-cpu>=2.16" 2>/dev/null || "${pip[@]}" "tensorflow>=2.16"
"${pip[@]}" numpy safetensors Pillow h5py huggingface_hub jax pytest pytest-timeout
rm -f "$venv"/.samari-*
touch "$stamp"
