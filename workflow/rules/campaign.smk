"""The campaign itself: its resolved configuration, and the checks on its results."""


rule campaign_config:
    output:
        f"{RESULTS}/campaign.yaml",
    log:
        f"{LOGS}/campaign/config.log",
    benchmark:
        f"{BENCHMARKS}/campaign/config.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        config=CAMPAIGN.model_dump_json(),
    message:
        "Writing the resolved configuration of {CAMPAIGN.name}"
    localrule: True
    shell:
        "glassml campaign config --json {params.config:q} --output {output} > {log} 2>&1"
