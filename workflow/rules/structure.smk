"""Structure of each glass in each state, and means over glasses."""

from glassml.structure.tables import COLUMNS, DOCUMENTS, SUMMARY_TABLES

STRUCTURE_TABLES = (*DOCUMENTS, *COLUMNS)


rule structure_glass:
    input:
        config=ancient(CONFIG),
        final=f"{RESULTS}/md/{{state}}/{{glass}}/final.extxyz",
        trajectory=f"{RESULTS}/md/{{state}}/{{glass}}/trajectory.h5md",
        record=f"{RESULTS}/md/{{state}}/{{glass}}/record.json",
        parent=lambda wildcards: expand(
            f"{RESULTS}/md/{{parent}}/{wildcards.glass}/final.extxyz",
            parent=CAMPAIGN.md.parents(wildcards.state),
        ),
    output:
        [f"{RESULTS}/structure/{{state}}/{{glass}}/{name}" for name in STRUCTURE_TABLES],
    log:
        f"{LOGS}/structure/{{state}}/{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/structure/{{state}}/{{glass}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500 + CAMPAIGN.md.atoms // 500, measured="structure/{state}"),
        runtime=minutes(30 + CAMPAIGN.md.atoms // 10_000),
    params:
        settings=section("structure"),
        state=lambda wildcards: wildcards.state,
        folder=subpath(output[0], parent=True),
        code=code_digest("structure analyse"),
    message:
        "Structure: {wildcards.state} of {wildcards.glass}"
    shell:
        "glassml structure analyse --config {input.config} --state {params.state}"
        " --glass {wildcards.glass} --trajectory {input.trajectory} --final {input.final}"
        " --record {input.record} --parent {input.parent} --threads {threads}"
        " --output-dir {params.folder} > {log} 2>&1"


rule structure_summary:
    input:
        config=ancient(CONFIG),
        tables=[
            f"{RESULTS}/structure/{state}/{glass}/{name}"
            for state in CAMPAIGN.md.states
            for glass in CAMPAIGN.md.glass_names()
            for name in STRUCTURE_TABLES
        ],
    output:
        [f"{RESULTS}/structure/summary/{name}" for name in SUMMARY_TABLES],
    log:
        f"{LOGS}/structure/summary.log",
    benchmark:
        f"{BENCHMARKS}/structure/summary.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1500),
        runtime=minutes(30),
    params:
        settings=section("structure"),
        seed=CAMPAIGN.seed,
        states=list(CAMPAIGN.md.states),
        folder=subpath(output[0], parent=True),
        tables=subpath(output[0], ancestor=2),
        code=code_digest("structure summary"),
    message:
        "Structure: means over glasses"
    shell:
        "glassml structure summary --config {input.config} --states {params.states}"
        " --input-dir {params.tables} --output-dir {params.folder} > {log} 2>&1"
