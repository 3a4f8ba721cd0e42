# make demo   napari with a real image: objects prompted, accepted and saved as a label TIFF
# make test   everything that must hold before a change goes in: lint, types, manifest, tests
# make test-tf   TFSamModel and tensors of JAX, in an environment of its own that has both
# make soak   the same tests at full length, with their figures; DATA=FOLDER names labelled images
# make bench   speed and memory beside the peers, into docs/performance.md; half an hour alone on the
#              machine. `make bench BENCH=click` runs one part: encoder, openvino, onnxruntime,
#              segment-anything, bfloat16, memory, click, automatic, shapes, startup or report
# Each prepares the machine by itself (scripts/bootstrap.sh).

VENV ?= .venv
VENV_TF ?= .venv-tf
VENV_BENCH ?= .venv-bench
PYTHON_IN_VENV := $(VENV)/bin/python
PYTEST_ARGS ?=
# The tests run in several processes, each with a screen of its own. What is timed at full length
# (make soak) runs alone. `make test PYTEST_JOBS=` runs all in one process.
PYTEST_JOBS ?= -n auto --maxprocesses 4 --dist worksteal
# A virtual screen of known size, so that the tests see the same window everywhere.
SCREEN := $(shell [ "$$(uname -s)" = Linux ] && echo 'xvfb-run -a -s "-screen 0 1600x1200x24"')

.PHONY: setup demo test test-tf soak lint pictures bench clean

setup:
	@scripts/bootstrap.sh $(VENV)

demo: setup
	@$(VENV)/bin/samari demo --output runs/demo/coins-labels.ome.tif \
	    --screenshot runs/demo/coins.png

lint: setup
	$(PYTHON_IN_VENV) -m ruff check .
	$(PYTHON_IN_VENV) -m mypy
	$(VENV)/bin/npe2 validate --imports samari

test: lint
	$(SCREEN) $(PYTHON_IN_VENV) -m pytest $(PYTEST_JOBS) $(PYTEST_ARGS)

test-tf:
	@scripts/bootstrap-tf.sh $(VENV_TF)
	PYTHONPATH=src $(VENV_TF)/bin/python -m pytest -c tests/tf/pytest.ini tests/tf

soak: setup
	SAMARI_SOAK=1 $(SCREEN) $(PYTHON_IN_VENV) -m pytest $(if $(DATA),--data $(DATA)) $(PYTEST_ARGS)

# The pictures of the documentation, taken from the running program. STACKS is the folder with the
# stack of docs/tutorial-stack.md, which does not ship.
pictures: setup
	$(SCREEN) $(VENV)/bin/samari demo --close --output runs/demo/coins-labels.ome.tif \
	    --screenshot docs/images/demo.png
	$(SCREEN) $(PYTHON_IN_VENV) scripts/first_minute.py
	$(if $(STACKS),$(SCREEN) $(PYTHON_IN_VENV) scripts/stack_tutorial.py $(STACKS))

BENCH ?= encoder openvino onnxruntime segment-anything bfloat16 memory click automatic shapes startup report

bench:
	@scripts/bootstrap-bench.sh $(VENV_BENCH)
	@for part in $(BENCH); do scripts/bench.sh $(VENV_BENCH)/bin/python $$part || exit 1; done

clean:
	rm -rf $(VENV) $(VENV_TF) $(VENV_BENCH) .venv-reference build dist .mypy_cache .pytest_cache .ruff_cache
