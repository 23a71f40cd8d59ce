"""Labels by GPAW, shard by shard; every label is kept in the store, which campaigns share."""

from glassml.dft.cost import shard_megabytes, shard_minutes


rule dft_seed:
    input:
        config=ancient(CONFIG),
        labels=CAMPAIGN.dft.seed_labels,
    output:
        f"{RESULTS}/dft/seeded.json",
    log:
        f"{LOGS}/dft/seed.log",
    benchmark:
        f"{BENCHMARKS}/dft/seed.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        settings=kept_settings(),
        store=CAMPAIGN.store,
    message:
        "Filling the label store with labels that are there already"
    shell:
        "glassml dft seed --config {input.config} --output {output} > {log} 2>&1"


rule dft_label:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
        structures=rules.configurations_generate.output.structures,
    output:
        labels=f"{RESULTS}/dft/{{family}}/{{shard}}.extxyz",
        table=f"{RESULTS}/dft/{{family}}/{{shard}}.csv",
    log:
        f"{LOGS}/dft/{{family}}/{{shard}}.log",
    benchmark:
        f"{BENCHMARKS}/dft/{{family}}/{{shard}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: CAMPAIGN.dft.shard_processes
    resources:
        mem_mb=megabytes(
            lambda wildcards: shard_megabytes(CAMPAIGN, wildcards.family),
            measured="dft/{family}",
        ),
        runtime=minutes(lambda wildcards: shard_minutes(CAMPAIGN, wildcards.family)),
        gpu=int(CAMPAIGN.dft.gpu),
    params:
        settings=kept_settings(),
        store=CAMPAIGN.store,
    message:
        "Labelling shard {wildcards.shard} of {wildcards.family}"
    shell:
        # Snakemake gives each library all threads of a job; processes with so many are half as fast.
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 "
        "glassml dft label --config {input.config} --input {input.structures} "
        "--output {output.labels} --table {output.table} --processes {threads} > {log} 2>&1"


rule dft_converge:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
        structures=expand(
            rules.configurations_generate.output.structures,
            family=CAMPAIGN.dft.convergence.families,
            shard="0000",
        ),
    output:
        table=f"{RESULTS}/dft/convergence.csv",
        figure=f"{RESULTS}/dft/convergence.png",
    log:
        f"{LOGS}/dft/convergence.log",
    benchmark:
        f"{BENCHMARKS}/dft/convergence.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: CAMPAIGN.dft.shard_processes
    resources:
        mem_mb=megabytes(2000 * CAMPAIGN.dft.shard_processes),
        runtime=minutes(720),
    params:
        settings=section("dft"),
    message:
        "Studying the convergence of labels"
    shell:
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 "
        "glassml dft converge --config {input.config} --input {input.structures}"
        " --table {output.table} --figure {output.figure} --processes {threads} > {log} 2>&1"


rule dft_polymorphs:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
    output:
        table=f"{RESULTS}/dft/polymorphs.csv",
        volumes=f"{RESULTS}/dft/polymorph_volumes.csv",
        structures=f"{RESULTS}/dft/polymorphs.extxyz",
        figure=f"{RESULTS}/dft/polymorphs.png",
    log:
        f"{LOGS}/dft/polymorphs.log",
    benchmark:
        f"{BENCHMARKS}/dft/polymorphs.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: CAMPAIGN.dft.shard_processes
    resources:
        mem_mb=megabytes(2000 * CAMPAIGN.dft.shard_processes),
        runtime=minutes(720),
    params:
        settings=section("dft"),
        folder=subpath(output.table, parent=True),
    message:
        "Relaxing polymorphs"
    shell:
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 "
        "glassml dft polymorphs --config {input.config} "
        "--output-dir {params.folder} --processes {threads} > {log} 2>&1"
