#!/usr/bin/env bash
# One part of `make bench`. Each takes some minutes alone on two cores.
#
# usage: scripts/bench.sh PYTHON PART
set -euo pipefail
cd "$(dirname "$0")/.."
export PYTHONPATH=src
run() { "$python" "benchmarks/$1.py" "${@:2}"; }
run_with_data() { [ -z "${DATA:-}" ] || run "$@" --data "$DATA"; }
python=$1
case $2 in
    encoder) run encoder samari transformers ;;
    openvino) run encoder samari openvino ;;
    onnxruntime) run encoder samari onnxruntime ;;
    segment-anything) run encoder samari segment_anything ;;
    bfloat16)
        run encoder "samari bfloat16" transformers "openvino bfloat16"
        run accuracy && run accuracy --base --side 4 && run_with_data accuracy --images 8 ;;
    memory)
        run encoder samari "samari bfloat16" transformers segment_anything openvino --memory
        run encoder samari "samari bfloat16" --memory --size huge ;;
    click)
        run click click && run click click --bundled
        run click points -n 5 && run click points --bundled -n 5 ;;
    automatic)
        scripts/bootstrap-reference.sh .venv-reference
        python=.venv-reference/bin/python
        run automatic && run automatic --base -n 1 ;;
    shapes) run shapes && run_with_data shapes ;;
    startup) run startup ;;
    report) run report ;;
    *) printf 'bench: there is no part %s\n' "$2" >&2; exit 2 ;;
esac
