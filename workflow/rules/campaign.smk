"""The campaign itself: its resolved configuration, and the checks on its results."""


rule campaign_config:
    output:
        f"{RESULTS}/campaign.yaml",
    log:
        f"{LOGS}/campaign/config.log",
    benchmark:
        f"{BENCHMARKS}/campaign/config.tsv"
    localrule: True
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        config=CAMPAIGN.model_dump_json(),
    message:
        "Writing the resolved configuration of {CAMPAIGN.name}"
    shell:
        "glassml campaign config --json {params.config:q} --output {output} > {log} 2>&1"


rule check:
    input:
        config=ancient(rules.campaign_config.output),
        # Rules of later files are known when the jobs are listed, not when this file is read.
        labels=lambda wildcards: rules.build_dataset.input.labels,
        results=lambda wildcards: [
            *rules.report.input.labels,
            *rules.report.input.dataset,
            *rules.report.input.dynamics,
            *rules.structure_summary.input.tables,
            *rules.structure_summary.output,
        ],
    output:
        f"{RESULTS}/test.success",
    log:
        f"{LOGS}/campaign/check.log",
    benchmark:
        f"{BENCHMARKS}/campaign/check.tsv"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code_digest("campaign"),
    message:
        "Checking that the results of {CAMPAIGN.name} are consistent"
    shell:
        "glassml campaign check --config {input.config} --output {output} > {log} 2>&1"
