#!/usr/bin/env bash
# Run by Snakemake once it has made this environment (`--software-deployment-method conda`).
set -euo pipefail
pip install --no-deps --editable .
