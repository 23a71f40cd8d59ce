"""Glasses by molecular dynamics: melt-quench, compression and recovery."""

import re


wildcard_constraints:
    state="|".join(re.escape(state) for state in CAMPAIGN.md.states),


MD_POTENTIAL = f"{RESULTS}/potential/g{CAMPAIGN.potential.generations - 1}"
if CAMPAIGN.md.potential == "trained":
    MD_FILES = [
        f"{MD_POTENTIAL}/m0/model.nequip.zip",
        f"{MD_POTENTIAL}/gates.json",
        f"{MD_POTENTIAL}/m0/verification.json",
    ]
    MD_MODEL = "--potential {} --gates {}".format(*MD_FILES)
    if CAMPAIGN.md.engine == "ase":
        MD_FILES.append(f"{MD_POTENTIAL}/m0/compiled")
        MD_MODEL += f" --compiled {MD_FILES[-1]}"
else:  # a published potential, as a negative control
    MD_FILES = []
    MD_MODEL = f"--potential {CAMPAIGN.md.potential}"
MD_COMMITTEE = [
    f"{MD_POTENTIAL}/m{member}/model.nequip.zip"
    for member in CAMPAIGN.md.committee_members(CAMPAIGN.potential.committee)
]
MD_GLASS = f"{RESULTS}/md/{{state}}/{{glass}}"
MD_GLASSES = {"glass": CAMPAIGN.md.glass_names(), "allow_missing": True}


MD_START = f"{RESULTS}/md/start/{{glass}}/restart.npz"


if CAMPAIGN.md.engine == "torch":

    rule md_start:
        input:
            config=ancient(CONFIG),
        output:
            restart=expand(
                f"{RESULTS}/md/start/{{glass}}/restart.npz",
                glass=CAMPAIGN.md.glass_names(),
            ),
        log:
            f"{LOGS}/md/start.log",
        benchmark:
            f"{BENCHMARKS}/md/start.tsv"
        conda:
            "../envs/glassml.yaml"
        threads: 1
        resources:
            mem_mb=8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses,
            runtime=CAMPAIGN.md.start_minutes(),
            gpu=1,
        params:
            start=CAMPAIGN.md.start_settings(),
            seed=CAMPAIGN.seed,
            folder=subpath(output[0], ancestor=2),
            code=code_digest("md"),
        message:
            "Classical melt and quench of all glasses"
        shell:
            "glassml md starts --config {input.config} --output-dir {params.folder} > {log} 2>&1"

else:

    rule md_start:
        input:
            config=ancient(CONFIG),
        output:
            restart=f"{RESULTS}/md/start/{{glass}}/restart.npz",
        log:
            f"{LOGS}/md/start/{{glass}}.log",
        benchmark:
            f"{BENCHMARKS}/md/start/{{glass}}.tsv"
        conda:
            "../envs/glassml.yaml"
        threads: 1
        resources:
            mem_mb=2000 + CAMPAIGN.md.atoms,
            runtime=CAMPAIGN.md.start_minutes(),
        params:
            start=CAMPAIGN.md.start_settings(),
            seed=CAMPAIGN.seed,
            code=code_digest("md"),
        message:
            "Classical melt and quench of {wildcards.glass}"
        shell:
            "glassml md start --config {input.config} --glass {wildcards.glass}"
            " --output {output.restart} > {log} 2>&1"


if CAMPAIGN.md.given is not None:

    rule md_run:
        input:
            config=ancient(CONFIG),
            given=lambda wildcards: expand(
                f"{CAMPAIGN.md.given}/{wildcards.state}/{wildcards.glass}/{{file}}",
                file=[
                    "record.json",
                    "series.csv.gz",
                    "frames.extxyz.gz",
                    "final.extxyz.gz",
                ],
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
            mem_mb=1000 + CAMPAIGN.md.atoms // 100,
            runtime=10,
        params:
            protocol=lambda wildcards: CAMPAIGN.md.settings_of(wildcards.state),
            folder=subpath(output.record, parent=True),
            code=code_digest("md"),
        message:
            "Taking up {wildcards.state} of {wildcards.glass}"
        shell:
            "glassml md adopt --config {input.config} --state {wildcards.state}"
            " --glass {wildcards.glass} --output-dir {params.folder} > {log} 2>&1"

elif not CAMPAIGN.md.takes_batches():

    rule md_run:
        input:
            config=ancient(CONFIG),
            potential=MD_FILES,
            committee=MD_COMMITTEE,
            start=lambda wildcards: expand(
                MD_START,
                glass=CAMPAIGN.md.classical_starts(wildcards.state, [wildcards.glass]),
            ),
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
            model=MD_MODEL,
            code=code_digest("md"),
        message:
            "Molecular dynamics: {wildcards.state} of {wildcards.glass}"
        shell:
            "glassml md run --config {input.config} --state {wildcards.state}"
            " --glass {wildcards.glass} {params.model}"
            " --committee {input.committee} --start {input.start}"
            " --parent {input.parent} --threads {threads}"
            " --output-dir {params.folder} > {log} 2>&1"

else:

    rule md_run:
        input:
            config=ancient(CONFIG),
            potential=MD_FILES,
            committee=MD_COMMITTEE,
            start=lambda wildcards: expand(
                MD_START,
                glass=CAMPAIGN.md.classical_starts(
                    wildcards.state, CAMPAIGN.md.glass_names()
                ),
            ),
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
            model=MD_MODEL,
            code=code_digest("md"),
        message:
            "Molecular dynamics: {wildcards.state} of all glasses"
        shell:
            "glassml md batch --config {input.config} --state {wildcards.state}"
            " {params.model} --committee {input.committee}"
            " --start {input.start} --parent {input.parent}"
            " --output-dir {params.folder} > {log} 2>&1"
