"""The campaign itself: the checks on its results."""


rule check:
    input:
        config=ancient(CONFIG),
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
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        code=code_digest("campaign check"),
    message:
        "Checking that the results of {CAMPAIGN.name} are consistent"
    shell:
        "glassml campaign check --config {input.config} --output {output} > {log} 2>&1"
