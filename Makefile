# The contributor's whole interface. Needs Python 3.11 or newer, git and make; the rest is installed
# into .venv from lock files with hashes.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: install install-dev demo test check lint types imports lock picture bench soak clean

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

demo: install
	$(VENV)/bin/pao demo

# One more at a time than there are cores, since many tests wait for processes of their own.
# What failed beside all others is run once more, alone, and named: a crowded machine makes late
# what only a bug makes wrong. What fails twice fails.
test: check
	@$(VENV)/bin/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal; code=$$?; \
	if [ $$code -eq 1 ]; then \
		echo "Once more, alone:"; \
		$(VENV)/bin/python -m pytest -n 0 -v --last-failed --last-failed-no-failures none; code=$$?; \
	fi; exit $$code

check: lint types imports

lint: install-dev
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/ruff check --quiet .

types: install-dev
	$(VENV)/bin/mypy

imports: install-dev
	$(VENV)/bin/lint-imports --no-logo

# The pictures in docs/images, taken by the browser test on its way.
picture: install-dev
	PICTURE_FOLDER=docs/images $(VENV)/bin/python -m pytest -n 0 tests/browser -k running_service

# Ratios to what runs beside, on a durable PostgreSQL of its own: bench/README.md.
bench: $(VENV)/installed-bench
	$(VENV)/bin/python -m bench $(BENCH)

# The endurance run: ten minutes of load on `pao run`, its resident memory and the slope of it.
soak: install-dev
	$(VENV)/bin/python -m bench.soak $(SOAK)

# Resolved for every platform; hashes, and neither addresses nor paths of this machine.
lock: install-dev
	$(VENV)/bin/uv pip compile $(COMPILE) pyproject.toml --group build -o requirements.lock
	$(VENV)/bin/uv pip compile $(COMPILE) --group dev -c requirements.lock -o requirements-dev.lock
	$(VENV)/bin/uv pip compile $(COMPILE) --group bench -c requirements.lock -c requirements-dev.lock \
		-o bench/requirements.lock

COMPILE := --quiet --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

# The project itself cannot stand in a file with hashes, so it is installed in a second step, and
# without build isolation, since its build back end does stand there.
$(VENV)/installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes --only-binary :all: -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	$(PIP) --require-hashes --only-binary :all: -r requirements-dev.lock
	@touch $@

$(VENV)/installed-bench: bench/requirements.lock $(VENV)/installed-dev
	$(PIP) --require-hashes --only-binary :all: -r bench/requirements.lock
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "PAO needs Python 3.11 or newer, and $(PYTHON) is" \
			"$$($(PYTHON) --version 2>&1 | head -n 1). Install a newer one and run:" \
			"make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; exit 1; }
