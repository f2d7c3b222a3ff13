# The commands of the README. VENV names the virtual environment; another one is taken with `make test VENV=/path/to/venv`.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
INSTALLED := $(VENV)/vidrec-checkout
DEMO := configs/demo/i3d_tiny.yaml

# Two processes share the test files, each with one thread; some tests start processes of their own.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help install demo test test-slow browser docs lint clean

help:
	@echo 'make demo       makes $(VENV) and the demo data, trains and tests $(DEMO)'
	@echo 'make test       the tests (makes $(VENV) where it is missing)'
	@echo 'make test-slow  the longer proofs: markers slow, browser and gpu'
	@echo 'make browser    installs Chromium for the browser tests (apt-get, root)'
	@echo 'make docs       the documentation as pages, build/docs/index.html'
	@echo 'make lint       ruff'
	@echo 'make clean      removes .venv, build, demo_data and all caches; keeps runs/'
	@echo 'VENV=FOLDER after any of them takes another virtual environment than .venv.'

install: $(INSTALLED)

# The file says which checkout the environment runs. Where it is another one, this checkout is installed anew.
ifneq ($(shell cat $(INSTALLED) 2>/dev/null),$(CURDIR))
.PHONY: $(INSTALLED)
endif

# ONE pip command: it resolves torch and torchvision together. Packages that are there and fit are kept.
$(INSTALLED): setup.cfg
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[test]'
	$(BIN)/python tools/check_install.py
	@echo '$(CURDIR)' > $@

# The run is named, since the pages of docs/ go on from it; a second `make demo` finds it finished.
demo: $(INSTALLED)
	$(BIN)/python tools/make_demo_data.py
	$(BIN)/python tools/train_ddp_pytorch.py --config-file $(DEMO) CONFIG.LOG.EXP_NAME i3d_tiny CONFIG.TRAIN.RESUME auto
	$(BIN)/python tools/test_ddp_pytorch.py --config-file $(DEMO) CONFIG.LOG.EXP_NAME i3d_tiny

test: $(INSTALLED)
	$(PYTEST) -m "not slow and not browser and not gpu"

# pytest exits with 5 where no test has one of the markers; that is no failure.
test-slow: $(INSTALLED)
	$(PYTEST) -m "slow or browser or gpu" || test $$? -eq 5

browser:
	@if command -v chromium >/dev/null; then \
		echo "Chromium is there: $$(command -v chromium)"; \
	elif [ "$$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then \
		echo 'make browser: installing Chromium takes apt-get and root; install it another way, or leave the browser tests to skip.' >&2; \
		exit 1; \
	else \
		apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends chromium; \
	fi

# A warning is an error: a link that leads nowhere, a page that no index names. Nothing is fetched.
docs: $(INSTALLED)
	$(BIN)/python -m sphinx -W --keep-going -q -b html -c docs . build/docs
	@echo 'open build/docs/index.html'

lint: $(INSTALLED)
	$(BIN)/python -m ruff check .

clean:
	rm -rf .venv demo_data build dist *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
