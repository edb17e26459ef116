# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BUNDLE ?= models/esc10
# A directory with ESC-10 recordings, if there is one: DATA=/path/to/esc10 or STAPES_DATA in the environment.
DATA ?= $(STAPES_DATA)
JOBS ?= 2
# Hundreds of tests start the command line: its bytecode is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE
# And build firmware, mostly of the same sources.
test: export CMAKE_C_COMPILER_LAUNCHER = $(CURDIR)/tools/tests/launcher.sh

.PHONY: help demo test lint format site release clean

help:
	@echo "make demo    bundle -> C -> firmware -> emulator -> checked result (DATA=DIR for real recordings)"
	@echo "make test    the whole suite"
	@echo "make lint    ruff, mypy and clang-format as in the suite"
	@echo "make format  rewrite sources in the project's style"
	@echo "make site    the documentation as a site in build/site, which needs no network"
	@echo "make release wheel and source archive in dist, checked; publishes nothing"
	@echo "make clean   remove build output (keeps $(VENV))"

demo:
	@echo "demo: $(BUNDLE), from bundle to checked firmware; what is missing is installed first"
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh demo
	@$(VENV)/bin/stapes demo $(BUNDLE) --out build/demo $(if $(DATA),--data "$(DATA)")

test:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh test
	@$(if $(DATA),STAPES_DATA="$(DATA)") $(VENV)/bin/python -m pytest -n $(JOBS) --dist loadfile
	@STAPES_DATA= $(VENV)/bin/python -m pytest hil_tests/test_baseline.py --baseline hil_tests/baselines -q

lint:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh test
	$(VENV)/bin/ruff check tools hil_tests firmware
	$(VENV)/bin/ruff format --check tools hil_tests firmware
	$(VENV)/bin/mypy
	find firmware -name '*.[ch]' | xargs $(VENV)/bin/clang-format --dry-run --Werror

format:
	$(VENV)/bin/ruff check --fix tools hil_tests firmware
	$(VENV)/bin/ruff format tools hil_tests firmware
	find firmware -name '*.[ch]' | xargs $(VENV)/bin/clang-format -i

site:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh test
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --strict --site-dir build/site

release:
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/setup.sh test
	rm -rf dist
	$(VENV)/bin/python -m build --no-isolation
	@if $(VENV)/bin/python -m twine --version >/dev/null 2>&1; then $(VENV)/bin/python -m twine check --strict dist/*; fi
	$(VENV)/bin/python -m pytest -q tools/tests/test_wheel.py
	@echo "dist/ is ready; nothing was published"

clean:
	rm -rf build dist
