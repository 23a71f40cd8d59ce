"""Active learning: a generation explores, and the next one learns from what is labelled then."""

EXPLORATION = f"{POTENTIAL}/exploration"


wildcard_constraints:
    run="|".join(CAMPAIGN.potential.exploration.runs),


rule explore:
    input:
        config=ancient(CONFIG),
        packages=rules.potential_gate.input.packages,
        compiled=rules.potential_gate.input.compiled,
        verified=rules.potential_gate.input.verified,
        parity=rules.potential_gate.input.parity,
        labels=rules.train_potential.input.train,
    output:
        candidates=f"{EXPLORATION}/runs/{{run}}.extxyz",
        table=f"{EXPLORATION}/runs/{{run}}.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/explore_{{run}}.log",
    benchmark:
        f"{BENCHMARKS}/potential/explore/g{{generation}}_{{run}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(12 * 60),
        gpu=1,
    params:
        members=rules.potential_gate.params.members,
        exploration=CAMPAIGN.potential.exploration.model_dump(
            mode="json", exclude={"select"}
        ),
        seed=CAMPAIGN.seed,
        code=code_digest("potential explore"),
    message:
        "Exploring with the committee of generation {wildcards.generation}: {wildcards.run}"
    shell:
        "glassml potential explore {wildcards.run} --config {input.config}"
        " --generation {wildcards.generation} --members {params.members}"
        " --labels {input.labels} --output {output.candidates} --table {output.table}"
        " > {log} 2>&1"


rule select_candidates:
    input:
        config=ancient(CONFIG),
        candidates=expand(
            rules.explore.output.candidates,
            run=CAMPAIGN.potential.exploration.runs,
            allow_missing=True,
        ),
        labels=rules.train_potential.input.train,
    output:
        selected=f"{EXPLORATION}/selected.extxyz",
        table=f"{EXPLORATION}/candidates.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/select.log",
    benchmark:
        f"{BENCHMARKS}/potential/select/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(30),
    params:
        select=CAMPAIGN.potential.exploration.select,
        code=code_digest("potential select"),
    message:
        "Selecting what to label after generation {wildcards.generation}"
    shell:
        "glassml potential select --config {input.config} --candidates {input.candidates}"
        " --labels {input.labels} --output {output.selected} --table {output.table}"
        " > {log} 2>&1"


use rule dft_label as label_explored with:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
        structures=rules.select_candidates.output.selected,
    output:
        labels=f"{EXPLORATION}/labels.extxyz",
        table=f"{EXPLORATION}/labels.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/label.log",
    benchmark:
        f"{BENCHMARKS}/potential/label/g{{generation}}.tsv"
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(24 * 60),
    message:
        "Labelling what generation {wildcards.generation} selected"
