# `make trial` and `make test` set everything up by themselves, on a Debian-like machine with Python 3.11.
PYTHON ?= python3
CORES ?= 2
SHELL := /bin/bash
VENV := .venv
READY := $(VENV)/.ready
ACTIVATE := . $(VENV)/bin/activate

.PHONY: trial test test-cluster setup lint api clean-results

trial: $(READY)
	$(ACTIVATE) && snakemake --cores $(CORES)
	@echo "The report: $(CURDIR)/results/trial/report/report.html"

# Files are dealt to $(CORES) processes, whole and in their order: the longest come first.
test: $(READY)
	$(ACTIVATE) && python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

# A real SLURM on this machine: as root, with Debian's slurm-wlm, munge and bindfs
test-cluster: $(READY)
	$(ACTIVATE) && python -m pytest tests/cluster -m cluster

lint: $(READY)
	$(ACTIVATE) && ruff check . && ruff format --check . && snakefmt --check Snakefile workflow && mypy && snakemake --lint

# Pages of the Python interface: api/glassml.html
api: $(READY)
	$(ACTIVATE) && pdoc --docformat numpy --output-directory api glassml.structure glassml.dataset glassml.dft.calculation glassml.potential glassml.md '!glassml.md.engines.torchsim'

setup: $(READY)

$(READY): pyproject.toml workflow/envs/setup.sh workflow/envs/gpaw_siteconfig.py
	bash workflow/envs/setup.sh $(PYTHON) $(VENV)
	@touch $@

clean-results:
	@echo "Labels are expensive. To remove them too: rm -r results"
	rm -rf results/trial logs/trial
