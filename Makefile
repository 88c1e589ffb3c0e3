# Two commands do everything: `make demo` and `make test`. Both install what they need first.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
# A second client for the local Discord; where npm cannot install it its test is skipped, and counted.
CLIENT := tests/localdiscord/discordjs
DISCORDJS := $(if $(shell command -v npm),$(CLIENT)/node_modules/.package-lock.json)
# Some machines forbid Python to keep what it has compiled; the tests start hundreds of processes that would each compile Mynah anew.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test chaos bench lint check install format clean

demo: install
	$(BIN)/mynah demo $(if $(ONCE),--once)

# By as many processes as there are cores, each with one thread for torch. A file's tests stay together, and the files keep their order:
# those that start bots and trainings come first, so that the end, where a process may find nothing left to do, is made of short ones.
test: install $(DISCORDJS)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

# Kills the bot at every moment that matters, then at random: nothing lost, nothing twice. Some minutes.
chaos: install
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED))

# All of them, or some: make bench ONLY="training cold_start"; with the real gpt2: make bench GPT2=its/folder
bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks.report $(ONLY) $(if $(GPT2),--gpt2 $(GPT2))

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(wildcard bot/lm/kernels*.[ch])
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev,ray]"
	@touch $(STAMP)

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	@touch $(BENCH_STAMP)

$(CLIENT)/node_modules/.package-lock.json: $(CLIENT)/package-lock.json
	-npm ci --silent --no-audit --no-fund --prefix $(CLIENT)

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build *.egg-info
