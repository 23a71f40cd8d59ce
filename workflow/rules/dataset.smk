"""Labels become training, validation and test sets."""


rule build_dataset:
    input:
        config=ancient(CONFIG),
        labels=[
            f"{RESULTS}/dft/{family}/{shard}.extxyz"
            for family, shard in CAMPAIGN.configurations.all_shards()
        ],
        included=[file.path for file in CAMPAIGN.dataset.include],
        explored=lambda wildcards: [
            f"{RESULTS}/potential/g{earlier}/exploration/labels.extxyz"
            for earlier in range(int(wildcards.generation))
        ],
    output:
        train=f"{RESULTS}/dataset/g{{generation}}/train.extxyz",
        validation=f"{RESULTS}/dataset/g{{generation}}/validation.extxyz",
        test=f"{RESULTS}/dataset/g{{generation}}/test.extxyz",
        flagged=f"{RESULTS}/dataset/g{{generation}}/flagged.extxyz",
        isolated_atoms=f"{RESULTS}/dataset/g{{generation}}/isolated_atoms.json",
        flags=f"{RESULTS}/dataset/g{{generation}}/flags.csv",
        statistics=f"{RESULTS}/dataset/g{{generation}}/statistics.csv",
        manifest=f"{RESULTS}/dataset/g{{generation}}/manifest.json",
    log:
        f"{LOGS}/dataset/g{{generation}}.log",
    benchmark:
        f"{BENCHMARKS}/dataset/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(60),
    params:
        labels=lambda wildcards, input: Path(input.config).parent / "dft",
        folder=subpath(output.manifest, parent=True),
        section=section("dataset"),
        families=list(CAMPAIGN.configurations.families),
        seed=CAMPAIGN.seed,
        code=code_digest("dataset build"),
    message:
        "Building the dataset of generation {wildcards.generation}"
    shell:
        "glassml dataset build --config {input.config} --generation {wildcards.generation} "
        "--labels {params.labels} --explored {input.explored} --output-dir {params.folder} > {log} 2>&1"
