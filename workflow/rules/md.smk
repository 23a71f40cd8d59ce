"""Glasses by molecular dynamics: melt-quench, compression and recovery."""

import re


wildcard_constraints:
    state="|".join(re.escape(state) for state in CAMPAIGN.md.states),


MD_POTENTIAL = f"{RESULTS}/potential/g{CAMPAIGN.potential.generations - 1}"
MD_GLASS = f"{RESULTS}/md/{{state}}/{{glass}}"
MD_GLASSES = {"glass": CAMPAIGN.md.glass_names(), "allow_missing": True}


if CAMPAIGN.md.engine == "ase":

    rule md_run:
        input:
            config=ancient(CONFIG),
            potential=f"{MD_POTENTIAL}/m0/model.nequip.zip",
            compiled=f"{MD_POTENTIAL}/m0/compiled",
            verification=f"{MD_POTENTIAL}/m0/verification.json",
            gates=f"{MD_POTENTIAL}/gates.json",
            parent=lambda wildcards: expand(
                f"{RESULTS}/md/{{parent}}/{wildcards.glass}/{{file}}",
                parent=CAMPAIGN.md.parents(wildcards.state),
                file=["restart.npz", "record.json"],
            ),
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
        conda:
            "../envs/glassml.yaml"
        threads: 1
        resources:
            mem_mb=2000 + CAMPAIGN.md.atoms,
            runtime=lambda wildcards: CAMPAIGN.md.runtime_minutes(wildcards.state),
        params:
            protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
            seed=CAMPAIGN.seed,
            folder=subpath(output.record, parent=True),
            code=code_digest("md"),
        message:
            "Molecular dynamics: {wildcards.state} of {wildcards.glass}"
        shell:
            "glassml md run --config {input.config} --state {wildcards.state}"
            " --glass {wildcards.glass} --potential {input.potential} --compiled {input.compiled}"
            " --gates {input.gates} --parent {input.parent} --threads {threads}"
            " --output-dir {params.folder} > {log} 2>&1"

else:

    rule md_run:
        input:
            config=ancient(CONFIG),
            potential=f"{MD_POTENTIAL}/m0/model.nequip.zip",
            verification=f"{MD_POTENTIAL}/m0/verification.json",
            gates=f"{MD_POTENTIAL}/gates.json",
            parent=lambda wildcards: expand(
                f"{RESULTS}/md/{{parent}}/{{glass}}/{{file}}",
                parent=CAMPAIGN.md.parents(wildcards.state),
                glass=CAMPAIGN.md.glass_names(),
                file=["restart.npz", "record.json"],
            ),
        output:
            final=expand(f"{MD_GLASS}/final.extxyz", **MD_GLASSES),
            trajectory=expand(f"{MD_GLASS}/trajectory.h5md", **MD_GLASSES),
            series=expand(f"{MD_GLASS}/series.csv", **MD_GLASSES),
            record=expand(f"{MD_GLASS}/record.json", **MD_GLASSES),
            restart=expand(f"{MD_GLASS}/restart.npz", **MD_GLASSES),
        log:
            f"{LOGS}/md/{{state}}/batch.log",
        benchmark:
            f"{BENCHMARKS}/md/{{state}}/batch.tsv"
        conda:
            "../envs/glassml.yaml"
        threads: 1
        resources:
            mem_mb=8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses,
            runtime=lambda wildcards: CAMPAIGN.md.runtime_minutes(wildcards.state),
            gpu=1,
        params:
            protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
            seed=CAMPAIGN.seed,
            folder=f"{RESULTS}/md/{{state}}",
            code=code_digest("md"),
        message:
            "Molecular dynamics: {wildcards.state} of all glasses"
        shell:
            "glassml md batch --config {input.config} --state {wildcards.state}"
            " --potential {input.potential} --gates {input.gates} --parent {input.parent}"
            " --output-dir {params.folder} > {log} 2>&1"
