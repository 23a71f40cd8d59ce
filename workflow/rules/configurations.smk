"""Structures to label, shard by shard: each family by itself, from its section and the seed."""


rule configurations_generate:
    input:
        config=ancient(CONFIG),
    output:
        structures=f"{RESULTS}/configurations/{{family}}/{{shard}}.extxyz",
        record=f"{RESULTS}/configurations/{{family}}/{{shard}}.csv",
    log:
        f"{LOGS}/configurations/{{family}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/configurations/{{family}}/{{shard}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(60),
    params:
        family=lambda wildcards: CAMPAIGN.configurations.shard_section(
            wildcards.family, int(wildcards.shard)
        ),
        seed=CAMPAIGN.seed,
        code=code_digest("configurations generate"),
    message:
        "Making shard {wildcards.shard} of {wildcards.family}"
    shell:
        "glassml configurations generate --config {input.config} --family {wildcards.family} "
        "--shard {wildcards.shard} --output {output.structures} > {log} 2>&1"
