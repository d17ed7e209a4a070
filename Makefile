# What can be made: `make` prints it. Needs Python 3.11+ and the package index, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup run check test prove bench bench-pages pictures words requirements clean
help:
	@echo "make run           start tweeter: http://127.0.0.1:5000/add_keyword"
	@echo "make test          run the tests"
	@echo "make check         formatting, lint, types"
	@echo "make prove         the promises under faults (NAME=limits: one of them)"
	@echo "make setup         the virtual environment, with what development needs"
	@echo "make bench         measure the product, beside others (ARGS=--quick: in a few minutes)"
	@echo "make bench-pages   how long pages take on a large database"
	@echo "make pictures      pictures of every page, with invented data"
	@echo "make words         collect the texts to translate (build/words.pot)"
	@echo "make requirements  compile requirements*.txt from pyproject.toml"
	@echo "make clean         remove what was made (not your data)"

$(VENV)/run.stamp: requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/run.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	touch $@

run: $(VENV)/run.stamp
	@exec $(BIN)/python -m tweeter up

setup: $(VENV)/dev.stamp

check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Without column marks in tracebacks: Python 3.11 parses source to draw them, and one drawn while
# the garbage collector interrupts another parse breaks that (python/cpython#106905).
test: $(VENV)/dev.stamp
	PYTHONNODEBUGRANGES=1 $(BIN)/python -m tests $(ARGS)

prove: $(VENV)/dev.stamp
	$(BIN)/python -m tests.prove $(NAME) $(ARGS)

bench: $(VENV)/dev.stamp
	$(BIN)/python -m bench $(ARGS)

bench-pages: $(VENV)/dev.stamp
	$(BIN)/python -m bench.pages $(ARGS)

pictures: $(VENV)/dev.stamp
	$(BIN)/python -m tests.pictures $(NAME)

words: $(VENV)/dev.stamp
	mkdir -p build
	$(BIN)/pybabel -q extract -F babel.cfg -k mark -k say -k flash -k counted:1,2 -o build/words.pot tweeter

requirements: $(VENV)/dev.stamp
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate --extra dev pyproject.toml -o requirements-dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
