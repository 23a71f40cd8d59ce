"""Studies of potentials (generations, size search, glasses of variants) and rates.

They run when `report.include` or a target names their tables.
"""

SEARCH = f"{RESULTS}/studies/search"


wildcard_constraints:
    variant="|".join(CAMPAIGN.potential.search.variants),
    labels="|".join(CAMPAIGN.potential.learning_curve.names()),


rule studies_generations:
    input:
        config=ancient(CONFIG),
        train=expand(
            rules.train_potential.input.train,
            generation=range(CAMPAIGN.potential.generations),
        ),
        parity=expand(
            rules.evaluate_potential.output.parity,
            generation=range(CAMPAIGN.potential.generations),
            member=MEMBERS,
        ),
        labels=expand(
            rules.label_explored.output.table,
            generation=range(CAMPAIGN.potential.generations - 1),
        ),
    output:
        f"{RESULTS}/studies/generations.csv",
    log:
        f"{LOGS}/studies/generations.log",
    benchmark:
        f"{BENCHMARKS}/studies/generations.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        folder=lambda w, input: input.parity[0].rsplit("/", 3)[0],
        code=code_digest("studies generations"),
    message:
        "What each generation changed"
    shell:
        "glassml studies generations --config {input.config} --folder {params.folder}"
        " --train {input.train} --table {output} > {log} 2>&1"


use rule train_potential as train_variant with:
    input:
        config=ancient(CONFIG),
        train=f"{RESULTS}/dataset/g0/train.extxyz",
        validation=f"{RESULTS}/dataset/g0/validation.extxyz",
        isolated_atoms=f"{RESULTS}/dataset/g0/isolated_atoms.json",
    output:
        config=f"{SEARCH}/{{variant}}/train.yaml",
        package=f"{SEARCH}/{{variant}}/model.nequip.zip",
        history=f"{SEARCH}/{{variant}}/history.csv",
    log:
        f"{LOGS}/studies/search/{{variant}}/train.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/train_{{variant}}.tsv"
    params:
        folder=subpath(output.package, parent=True),
        settings=lambda wildcards: [
            each.model_dump(mode="json")
            for each in CAMPAIGN.potential.variant(wildcards.variant)
        ],
        seed=CAMPAIGN.seed,
        code=code_digest("potential train"),
        which=lambda wildcards: f"--generation 0 --member 0 --variant {wildcards.variant}",
    message:
        "Size search: training {wildcards.variant}"


use rule evaluate_potential as evaluate_variant with:
    input:
        config=ancient(CONFIG),
        package=rules.train_variant.output.package,
        train=rules.train_variant.input.train,
        validation=rules.train_variant.input.validation,
        test=f"{RESULTS}/dataset/g0/test.extxyz",
    output:
        parity=f"{SEARCH}/{{variant}}/parity.csv",
        errors=f"{SEARCH}/{{variant}}/errors.csv",
    log:
        f"{LOGS}/studies/search/{{variant}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/evaluate_{{variant}}.tsv"
    message:
        "Size search: predicting all labels with {wildcards.variant}"


rule time_variant:
    input:
        config=ancient(CONFIG),
        package=rules.train_variant.output.package,
        labels=rules.train_variant.input.train,
    output:
        f"{SEARCH}/{{variant}}/speed.json",
    log:
        f"{LOGS}/studies/search/{{variant}}/speed.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/speed_{{variant}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(30),
        gpu=1,
    params:
        atoms=CAMPAIGN.potential.search.atoms,
        code=code_digest("studies speed"),
    message:
        "Size search: timing {wildcards.variant}"
    shell:
        "glassml studies speed --config {input.config} --package {input.package}"
        " --labels {input.labels} --output {output} > {log} 2>&1"


# Networks that search.glasses names also make the first state of md.states, each for itself.
SEARCHED = CAMPAIGN.potential.search.glasses
SEARCH_STATE = CAMPAIGN.md.first_state()
SEARCH_MD = f"{SEARCH}/{{variant}}/md/{SEARCH_STATE}"
SEARCH_STRUCTURE = f"{SEARCH}/{{variant}}/structure"
SEARCH_GLASSES = {"glass": CAMPAIGN.md.glass_names(), "allow_missing": True}


rule melt_variant:
    input:
        labels=MD_LABELS,
        config=ancient(CONFIG),
        package=rules.train_variant.output.package,
        start=expand(
            MD_START,
            pressure=CAMPAIGN.md.start_pressures(SEARCH_STATE),
            glass=CAMPAIGN.md.glass_names(),
        ),
    output:
        **{
            name: expand(f"{SEARCH_MD}/{{glass}}/{file}", **SEARCH_GLASSES)
            for name, file in RUN_FILES.items()
        },
    log:
        f"{LOGS}/studies/search/{{variant}}/melt.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/melt_{{variant}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses),
        runtime=minutes(CAMPAIGN.md.runtime_minutes(SEARCH_STATE)),
        gpu=1,
    params:
        protocol=CAMPAIGN.md.settings_of(SEARCH_STATE),
        seed=CAMPAIGN.seed,
        state=SEARCH_STATE,
        folder=SEARCH_MD,
        code=code_digest("md batch", MD_UNUSED),
    message:
        "Size search: glasses of {wildcards.variant}"
    shell:
        "glassml md batch --config {input.config} --state {params.state}"
        " --potential {input.package} --start {input.start}"
        " --labels {input.labels} --output-dir {params.folder} > {log} 2>&1"


use rule structure_glass as structure_variant with:
    input:
        config=ancient(CONFIG),
        final=f"{SEARCH_MD}/{{glass}}/final.extxyz",
        trajectory=f"{SEARCH_MD}/{{glass}}/trajectory.h5md",
        record=f"{SEARCH_MD}/{{glass}}/record.json",
        parent=[],
    output:
        [
            f"{SEARCH_STRUCTURE}/{SEARCH_STATE}/{{glass}}/{name}"
            for name in STRUCTURE_TABLES
        ],
    log:
        f"{LOGS}/studies/search/{{variant}}/structure_{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/structure_{{variant}}_{{glass}}.tsv"
    resources:
        mem_mb=megabytes(1500 + CAMPAIGN.md.atoms // 500),
        runtime=minutes(30 + CAMPAIGN.md.atoms // 10_000),
    params:
        state=SEARCH_STATE,
    message:
        "Size search: structure of {wildcards.glass} of {wildcards.variant}"


use rule structure_summary as summarise_variant with:
    input:
        config=ancient(CONFIG),
        tables=expand(rules.structure_variant.output, **SEARCH_GLASSES),
    output:
        [f"{SEARCH_STRUCTURE}/summary/{name}" for name in SUMMARY_TABLES],
    log:
        f"{LOGS}/studies/search/{{variant}}/summary.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/summary_{{variant}}.tsv"
    params:
        states=[SEARCH_STATE],
    message:
        "Size search: means over glasses of {wildcards.variant}"


rule studies_search:
    input:
        config=ancient(CONFIG),
        errors=expand(
            rules.evaluate_variant.output.errors,
            variant=CAMPAIGN.potential.search.variants,
        ),
        speeds=expand(
            rules.time_variant.output, variant=CAMPAIGN.potential.search.variants
        ),
        structures=expand(
            rules.structure_variant.output,
            variant=SEARCHED,
            glass=CAMPAIGN.md.glass_names(),
        ),
        summaries=expand(rules.summarise_variant.output, variant=SEARCHED),
    output:
        table=f"{SEARCH}/search.csv",
        figure=f"{SEARCH}/search.png",
        glasses=(
            [f"{SEARCH}/search_glasses.csv", f"{SEARCH}/search_glasses.png"]
            if SEARCHED
            else []
        ),
    log:
        f"{LOGS}/studies/search/search.log",
    benchmark:
        f"{BENCHMARKS}/studies/search/search.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        folder=subpath(output.table, parent=True),
        code=code_digest("studies search"),
    message:
        "Size search: accuracy against speed"
    shell:
        "glassml studies search --config {input.config} --folder {params.folder}"
        " --table {output.table} --figure {output.figure}"
        " --glasses {output.glasses} > {log} 2>&1"


rule studies_rates:
    input:
        config=ancient(CONFIG),
        summary=rules.structure_summary.output,
        glasses=rules.structure_summary.input.tables,
    output:
        table=f"{RESULTS}/studies/rates/rates.csv",
        fit=f"{RESULTS}/studies/rates/rates_fit.csv",
        figure=f"{RESULTS}/studies/rates/rates.png",
    log:
        f"{LOGS}/studies/rates.log",
    benchmark:
        f"{BENCHMARKS}/studies/rates.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(1000),
        runtime=minutes(5),
    params:
        folder=lambda wildcards, input: str(Path(input.summary[0]).parents[1]),
        code=code_digest("studies rates"),
    message:
        "Quenches at several rates: density, angle, first peak and rings"
    shell:
        "glassml studies rates --config {input.config} --folder {params.folder}"
        " --table {output.table} --fit {output.fit} --figure {output.figure} > {log} 2>&1"
