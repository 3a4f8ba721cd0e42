#!/usr/bin/env bash
# Prepare the environment of `make test-tf`: torch as pinned, TensorFlow, JAX, what samari.sam needs.
# TensorFlow decides the other versions. Does nothing when all is there.
#
# usage: scripts/bootstrap-tf.sh [VENV]        (default .venv-tf)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/side-environment.sh scripts/bootstrap-tf.sh "${1:-.venv-tf}"
"${pip[@]}" "tensorflow-cpu>=2.16" 2>/dev/null || "${pip[@]}" "tensorflow>=2.16"
"${pip[@]}" numpy safetensors Pillow h5py huggingface_hub jax pytest pytest-timeout
finish
