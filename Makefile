# Parley: `make serve` starts it, `make test` tests it. Each target sets up what it needs, once.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
CLIENT_2023 := .venv-openai-2023
PY := $(VENV)/bin/python
SET_UP := sh scripts/environment.sh

# A stamp is made when its set-up is complete; nothing runs while it is newer than what it was made from.
RECIPE := requirements.lock pyproject.toml scripts/environment.sh
SERVE := $(VENV)/.ready-serve
TEST := $(VENV)/.ready-test
CHECK := $(VENV)/.ready-check
TRAIN := .venv-train/.ready
# llama.cpp built for this processor; one of another version is left alone and not used.
NATIVE := $(VENV)/llama-$(shell sed -n 's/^xllamacpp==\([^ ]*\).*/\1/p' requirements.lock)
# What serve and its workers import, compiled once at the installation: later nobody may be allowed to write it down.
IMPORTED := parley.app, parley.cli.main, sqlalchemy.dialects.sqlite, psycopg, PIL.Image, av, faster_whisper, greenlet, llguidance, onnxruntime, pocketsphinx, xllamacpp
OLD_CLIENT := $(CLIENT_2023)/.ready

.PHONY: help serve native test check bench faults fuzz train-mini eval-mini train-whisper eval-whisper test-train clean

help: ## list the targets
	@echo "Parley: an OpenAI-compatible platform on your own machines"
	@echo
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'
	@echo
	@echo "Settings come by environment: PARLEY_HOST, PARLEY_PORT, PARLEY_DATA, PARLEY_BOOTSTRAP_KEY ..."

serve: $(SERVE) ## start Parley on 127.0.0.1:8000
	@if [ -e $(NATIVE) ]; then export PARLEY_LLAMA_BUILD="$${PARLEY_LLAMA_BUILD:-$(NATIVE)}"; fi; exec $(PY) -m parley.cli.main serve

native: $(NATIVE) ## build llama.cpp for this machine's processor, which generates faster (needs a C++ compiler; some minutes)


test: $(TEST) $(OLD_CLIENT) ## run every test suite, a process for each core up to four (PYTEST_FLAGS="-n 0 -x": one, to the first failure)
	@$(PY) -m pytest -q -n auto --maxprocesses 4 --dist loadfile $(PYTEST_FLAGS)

check: $(CHECK) ## formatting, lint, types, import rules, sizes
	@$(VENV)/bin/ruff format --check --quiet . || { echo "mend it with: $(VENV)/bin/ruff format ." >&2; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(PY) -m pytest -q -p no:randomly tests/architecture

bench: $(TEST) ## measure Parley beside bare peers (BENCH=quick: a shorter run)
	@$(PY) -m bench $(if $(filter quick,$(BENCH)),--quick)

faults: $(TEST) ## bring about faults at full size: money, storage, processes, overload, media (FAULTS="a4 c3": these rows)
	@$(PY) -m tests.faults.figures $(FAULTS)

fuzz: $(TEST) ## call the whole API with generated requests, 20,000 times (FUZZ="--seed 7 --cases 1000")
	@$(PY) -m tests.fuzz $(FUZZ)

train-mini: $(TRAIN) ## make the bundled model anew (needs torch; see training/)
	@.venv-train/bin/python -m training.mini

eval-mini: $(TRAIN) ## measure the bundled model
	@.venv-train/bin/python -m training.evaluate

train-whisper: $(TRAIN) ## make the tests' Whisper anew (needs espeak-ng as well; see training/)
	@.venv-train/bin/python -m training.speech.train
	@.venv-train/bin/python -m training.speech.export

eval-whisper: $(TRAIN) ## measure the tests' Whisper and write its card's table
	@.venv-train/bin/python -m training.speech.evaluate --card tests/audio/whisper-closed/README.md

test-train: $(TRAIN) ## test the training code
	@.venv-train/bin/python -m pytest training

clean: ## remove the environments and caches (your data stays)
	@rm -rf $(VENV) $(CLIENT_2023) .venv-train build dist bench/.cache
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(SERVE): $(RECIPE)
	@$(SET_UP) $(VENV) requirements.lock serve
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@env -u PYTHONDONTWRITEBYTECODE $(PY) -c 'import $(IMPORTED)'
	@touch $@

$(TEST): $(SERVE)
	@$(SET_UP) $(VENV) requirements.lock test
	@touch $@

$(NATIVE): | $(SERVE)
	@$(SET_UP) $(VENV) requirements.lock native
	@sh scripts/native.sh $(PY) $@

$(CHECK): $(TEST)
	@$(SET_UP) $(VENV) requirements.lock check
	@touch $@

$(TRAIN): $(RECIPE)
	@$(SET_UP) .venv-train requirements.lock serve test train
	@.venv-train/bin/python -m pip install -qq --disable-pip-version-check "$$(sed -n 's/.*"\(torch==[^"]*\)".*/\1/p' pyproject.toml)"
	@.venv-train/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(OLD_CLIENT): tests/tutorials/openai-2023.lock scripts/environment.sh
	@$(SET_UP) $(CLIENT_2023) tests/tutorials/openai-2023.lock
	@touch $@
