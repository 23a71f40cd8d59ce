"""Glasses by molecular dynamics: melt-quench, compression and recovery."""

import re


wildcard_constraints:
    state="|".join(re.escape(state) for state in CAMPAIGN.md.states),


MD_POTENTIAL = f"{RESULTS}/potential/g{CAMPAIGN.potential.generations - 1}"


def md_parent(wildcards):
    """Give the end of the parent's state, or nothing for a melt."""
    parent = CAMPAIGN.md.states[wildcards.state].parent
    if parent is None:
        return []
    folder = f"{RESULTS}/md/{parent}/{wildcards.glass}"
    return [f"{folder}/restart.npz", f"{folder}/record.json"]


def md_protocol(wildcards):
    """Give what a state depends on: its own stages and the settings of all states."""
    settings = CAMPAIGN.md.model_dump(mode="json", exclude={"states", "glasses"})
    state = CAMPAIGN.md.states[wildcards.state].model_dump(mode="json")
    return settings | {"state": state, "seed": CAMPAIGN.seed}


rule md_run:
    input:
        config=ancient(rules.campaign_config.output),
        potential=f"{MD_POTENTIAL}/m0/model.nequip.zip",
        compiled=f"{MD_POTENTIAL}/m0/compiled",
        verification=f"{MD_POTENTIAL}/m0/verification.json",
        gates=f"{MD_POTENTIAL}/gates.json",
        parent=md_parent,
    output:
        final=f"{RESULTS}/md/{{state}}/{{glass}}/final.extxyz",
        trajectory=f"{RESULTS}/md/{{state}}/{{glass}}/trajectory.h5md",
        series=f"{RESULTS}/md/{{state}}/{{glass}}/series.csv",
        record=f"{RESULTS}/md/{{state}}/{{glass}}/record.json",
        restart=f"{RESULTS}/md/{{state}}/{{glass}}/restart.npz",
    log:
        f"{LOGS}/md/{{state}}/{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/md/{{state}}/{{glass}}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards: 2000 + CAMPAIGN.md.atoms,
        runtime=lambda wildcards: 30 + CAMPAIGN.md.steps(wildcards.state) // 500,
    params:
        protocol=md_protocol,
        parent=lambda wildcards, input: (
            f"--parent {Path(input.parent[0]).parent}" if input.parent else ""
        ),
        folder=lambda wildcards, output: Path(output.record).parent,
        code=code_digest("md"),
    message:
        "Molecular dynamics: {wildcards.state} of {wildcards.glass}"
    shell:
        "glassml md run --config {input.config} --state {wildcards.state}"
        " --glass {wildcards.glass} --potential {input.potential} --compiled {input.compiled}"
        " --gates {input.gates} {params.parent} --output-dir {params.folder} > {log} 2>&1"
