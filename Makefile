PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
DEMO := runs/catvae_digits
.DEFAULT_GOAL := help
.PHONY: help install demo test test-all browser docs results lint format

help: ## print this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-9s %s\n", $$1, $$2}'

install: .venv/installed ## make the virtual environment and install the package with its development tools

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@

demo: export OMP_NUM_THREADS = 1  # the model is small: more threads only wait for each other
demo: install ## train a categorical VAE on digits, test it, draw samples and reconstructions (under 3 minutes)
	$(BIN)/python train.py fit --config configs/catvae_digits.yaml
	@run=$$(ls -td $(DEMO)/*/ | head -n 1); run=$${run%/}; set -ex; \
	$(BIN)/python train.py test $$run; \
	$(BIN)/python train.py sample $$run --out $$run/samples.png; \
	$(BIN)/python train.py reconstruct $$run --out $$run/reconstructions.png; \
	set +x; echo "see it: $(BIN)/python train.py explore $$run"

test test-all: export OMP_NUM_THREADS = 1  # two processes at work, one thread each

test: install lint ## lint and types, then the tests that take seconds
	$(BIN)/python -m pytest -m 'not slow and not browser' -n $(WORKERS) --dist worksteal

test-all: test ## the same, then the long statistical and end-to-end tests one by one
	$(BIN)/python -m pytest -m slow

browser: export OMP_NUM_THREADS = 1
browser: install ## drive the pages of `explore` in headless Chromium (apt-get install chromium)
	$(BIN)/python -m pytest -m browser tests/explore

docs: install ## build the documentation site in build/site, where a broken link is an error
	$(BIN)/python -m sphinx -W --keep-going -q -c docs -d build/doctrees . build/site

results: install ## test every released checkpoint again, hold it to its card, and write the table of docs/releases.md
	$(BIN)/python benchmarks/releases.py

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p .lint && ln -sfn .. .lint/gumbelzoo
	cd .lint && ../$(BIN)/mypy --config-file ../pyproject.toml -p gumbelzoo

format: install ## let ruff mend and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
