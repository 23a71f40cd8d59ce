"""NequIP potentials: a committee is trained, measured against labels, compiled, verified, judged."""

POTENTIAL = f"{RESULTS}/potential/g{{generation}}"
MEMBER = f"{POTENTIAL}/m{{member}}"
MEMBERS = range(CAMPAIGN.potential.committee)
PHONONS = f"{RESULTS}/potential/phonons/{{crystal}}"
CRYSTALS = CAMPAIGN.potential.gates.phonons.crystals


wildcard_constraints:
    crystal="[a-z_]+",


rule train_potential:
    input:
        config=ancient(CONFIG),
        train=f"{RESULTS}/dataset/g{{generation}}/train.extxyz",
        validation=f"{RESULTS}/dataset/g{{generation}}/validation.extxyz",
        isolated_atoms=f"{RESULTS}/dataset/g{{generation}}/isolated_atoms.json",
        package=CAMPAIGN.potential.packages(),
    output:
        config=f"{MEMBER}/train.yaml",
        package=f"{MEMBER}/model.nequip.zip",
        history=f"{MEMBER}/history.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/train.log",
    benchmark:
        f"{BENCHMARKS}/potential/train/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60 + round(CAMPAIGN.potential.training.max_minutes),
    params:
        folder=subpath(output.package, parent=True),
        mode=CAMPAIGN.potential.mode,
        model=CAMPAIGN.potential.model.model_dump(mode="json"),
        training=CAMPAIGN.potential.training.model_dump(mode="json"),
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
        which=lambda wildcards: f"--generation {wildcards.generation} --member {wildcards.member}",
    message:
        "Training member {wildcards.member} of generation {wildcards.generation}"
    shell:
        "glassml potential train --config {input.config}"
        " {params.which} --train {input.train} --validation {input.validation}"
        " --isolated-atoms {input.isolated_atoms}"
        " --folder {params.folder} --threads {threads} > {log} 2>&1"


rule evaluate_potential:
    input:
        config=ancient(CONFIG),
        package=rules.train_potential.output.package,
        train=rules.train_potential.input.train,
        validation=rules.train_potential.input.validation,
        test=f"{RESULTS}/dataset/g{{generation}}/test.extxyz",
    output:
        parity=f"{MEMBER}/parity.csv",
        errors=f"{MEMBER}/errors.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/potential/evaluate/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code_digest("potential"),
    message:
        "Predicting all labels with member {wildcards.member}"
    shell:
        "glassml potential evaluate --config {input.config} --package {input.package}"
        " --train {input.train} --validation {input.validation} --test {input.test}"
        " --parity {output.parity} --errors {output.errors} > {log} 2>&1"


rule compile_potential:
    input:
        config=ancient(CONFIG),
        package=rules.train_potential.output.package,
    output:
        folder=directory(f"{MEMBER}/compiled"),
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/compile.log",
    benchmark:
        f"{BENCHMARKS}/potential/compile/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        compile=CAMPAIGN.potential.compile,
        code=code_digest("potential"),
    message:
        "Compiling member {wildcards.member} for this machine"
    shell:
        "glassml potential compile --config {input.config} --package {input.package}"
        " --folder {output.folder} --threads {threads} > {log} 2>&1"


rule verify_potential:
    input:
        config=ancient(CONFIG),
        package=rules.train_potential.output.package,
        compiled=rules.compile_potential.output.folder,
        labels=rules.train_potential.input.train,
    output:
        f"{MEMBER}/verification.json",
    log:
        f"{LOGS}/potential/g{{generation}}/m{{member}}/verify.log",
    benchmark:
        f"{BENCHMARKS}/potential/verify/g{{generation}}_m{{member}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        bounds=CAMPAIGN.potential.verification.model_dump(mode="json"),
        code=code_digest("potential"),
    message:
        "Verifying member {wildcards.member} before it is used"
    shell:
        "glassml potential verify --config {input.config} --package {input.package}"
        " --compiled {input.compiled} --labels {input.labels} --output {output} > {log} 2>&1"


rule displace_crystal:
    input:
        config=ancient(CONFIG),
        structures=CAMPAIGN.potential.gates.phonons.structures or [],
    output:
        f"{PHONONS}/displaced.extxyz",
    log:
        f"{LOGS}/potential/phonons/{{crystal}}/displace.log",
    benchmark:
        f"{BENCHMARKS}/potential/phonons/displace_{{crystal}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        phonons=CAMPAIGN.potential.gates.phonons.model_dump(
            mode="json", exclude={"crystals", "rms_THz"}
        ),
        code=code_digest("potential"),
    message:
        "Displacing the atoms of {wildcards.crystal}"
    shell:
        "glassml potential displace {wildcards.crystal} --config {input.config}"
        " --output {output} > {log} 2>&1"


use rule dft_label as label_displaced with:
    input:
        config=ancient(CONFIG),
        seeded=rules.dft_seed.output,
        structures=rules.displace_crystal.output,
    output:
        labels=f"{PHONONS}/labels.extxyz",
        table=f"{PHONONS}/labels.csv",
    log:
        f"{LOGS}/potential/phonons/{{crystal}}/label.log",
    benchmark:
        f"{BENCHMARKS}/potential/phonons/label_{{crystal}}.tsv"
    resources:
        mem_mb=4000,
        runtime=24 * 60,
    message:
        "Labelling the displaced cells of {wildcards.crystal}"


rule potential_gate:
    input:
        config=ancient(CONFIG),
        packages=expand(
            rules.train_potential.output.package, member=MEMBERS, allow_missing=True
        ),
        compiled=expand(
            rules.compile_potential.output.folder, member=MEMBERS, allow_missing=True
        ),
        verified=expand(
            rules.verify_potential.output, member=MEMBERS, allow_missing=True
        ),
        errors=expand(
            rules.evaluate_potential.output.errors, member=MEMBERS, allow_missing=True
        ),
        parity=expand(
            rules.evaluate_potential.output.parity, member=MEMBERS, allow_missing=True
        ),
        labels=[
            rules.train_potential.input.train,
            rules.train_potential.input.validation,
            rules.evaluate_potential.input.test,
        ],
        extra=lambda wildcards: {
            "phonons": expand(rules.label_displaced.output.labels, crystal=CRYSTALS),
            "equations": CAMPAIGN.potential.gates.equations.labels,
        }.get(wildcards.gate, []),
    output:
        results=f"{POTENTIAL}/gates/{{gate}}.json",
        table=f"{POTENTIAL}/gates/{{gate}}.csv",
    log:
        f"{LOGS}/potential/g{{generation}}/gate_{{gate}}.log",
    benchmark:
        f"{BENCHMARKS}/potential/gate/g{{generation}}_{{gate}}.tsv"
    wildcard_constraints:
        gate="|".join(CAMPAIGN.potential.gate_names()),
    conda:
        "../envs/glassml.yaml"
    threads: lambda wildcards: 4 if wildcards.gate == "stability" else 1
    resources:
        mem_mb=lambda wildcards, threads: 3000 * threads,
        runtime=60,
    params:
        members=expand(MEMBER, member=MEMBERS, allow_missing=True),
        gates=CAMPAIGN.potential.gates.model_dump(mode="json"),
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
    message:
        "Judging the committee of generation {wildcards.generation}: {wildcards.gate}"
    shell:
        "glassml potential gate {wildcards.gate} --config {input.config}"
        " --members {params.members} --labels {input.labels}"
        " --extra {input.extra} --processes {threads}"
        " --output {output.results} --table {output.table} > {log} 2>&1"


rule potential_gates:
    input:
        config=ancient(CONFIG),
        results=expand(
            rules.potential_gate.output.results,
            gate=CAMPAIGN.potential.gate_names(),
            allow_missing=True,
        ),
    output:
        f"{POTENTIAL}/gates.json",
    log:
        f"{LOGS}/potential/g{{generation}}/gates.log",
    benchmark:
        f"{BENCHMARKS}/potential/gates/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=code_digest("potential"),
    message:
        "Joining the gates of generation {wildcards.generation}"
    shell:
        "glassml potential gates --config {input.config} --results {input.results}"
        " --output {output} > {log} 2>&1"


rule model_card:
    input:
        config=ancient(CONFIG),
        gates=rules.potential_gates.output,
        errors=rules.potential_gate.input.errors,
        verified=rules.potential_gate.input.verified,
        packages=rules.potential_gate.input.packages,
        manifest=f"{RESULTS}/dataset/g{{generation}}/manifest.json",
    output:
        text=f"{POTENTIAL}/model_card.md",
        data=f"{POTENTIAL}/model_card.json",
    log:
        f"{LOGS}/potential/g{{generation}}/card.log",
    benchmark:
        f"{BENCHMARKS}/potential/card/g{{generation}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        members=rules.potential_gate.params.members,
        potential=section("potential"),
        dft=section("dft"),
        code=code_digest("potential"),
    message:
        "Writing the model card of generation {wildcards.generation}"
    shell:
        "glassml potential card --config {input.config} --generation {wildcards.generation}"
        " --gates {input.gates} --members {params.members} --manifest {input.manifest}"
        " --output {output.text} > {log} 2>&1"


# Active learning: a generation explores, and the next one learns from what is labelled then.
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
        mem_mb=4000,
        runtime=12 * 60,
    params:
        members=rules.potential_gate.params.members,
        exploration=CAMPAIGN.potential.exploration.model_dump(
            mode="json", exclude={"select"}
        ),
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
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
        mem_mb=4000,
        runtime=30,
    params:
        select=CAMPAIGN.potential.exploration.select,
        code=code_digest("potential"),
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
        mem_mb=4000,
        runtime=24 * 60,
    message:
        "Labelling what generation {wildcards.generation} selected"


rule potential_generations:
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
        f"{RESULTS}/potential/generations.csv",
    log:
        f"{LOGS}/potential/generations.log",
    benchmark:
        f"{BENCHMARKS}/potential/generations.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        folder=subpath(output[0], parent=True),
        code=code_digest("potential"),
    message:
        "What each generation changed"
    shell:
        "glassml potential generations --config {input.config} --folder {params.folder}"
        " --train {input.train} --table {output} > {log} 2>&1"


# The size search and the learning curve: run when their tables are asked for by name.
SEARCH = f"{RESULTS}/potential/search"
CURVE = f"{RESULTS}/potential/learning_curve"


wildcard_constraints:
    variant="|".join(CAMPAIGN.potential.search.variants),
    labels="|".join(CAMPAIGN.potential.learning_curve.names()),


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
        f"{LOGS}/potential/search/{{variant}}/train.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/train_{{variant}}.tsv"
    params:
        folder=subpath(output.package, parent=True),
        settings=lambda wildcards: [
            each.model_dump(mode="json")
            for each in CAMPAIGN.potential.variant(wildcards.variant)
        ],
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
        which=lambda wildcards: f"--generation 0 --member 0 --variant {wildcards.variant}",
    message:
        "Size search: training {wildcards.variant}"


use rule train_variant as train_subset with:
    output:
        config=f"{CURVE}/{{labels}}/train.yaml",
        package=f"{CURVE}/{{labels}}/model.nequip.zip",
        history=f"{CURVE}/{{labels}}/history.csv",
    log:
        f"{LOGS}/potential/learning_curve/{{labels}}/train.log",
    benchmark:
        f"{BENCHMARKS}/potential/learning_curve/train_{{labels}}.tsv"
    params:
        folder=subpath(output.package, parent=True),
        settings=[
            CAMPAIGN.potential.model.model_dump(mode="json"),
            CAMPAIGN.potential.training.model_dump(mode="json"),
        ],
        seed=CAMPAIGN.seed,
        code=code_digest("potential"),
        which=lambda wildcards: f"--generation 0 --member 0 --labels {wildcards.labels}",
    message:
        "Learning curve: training on {wildcards.labels} labels"


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
        f"{LOGS}/potential/search/{{variant}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/evaluate_{{variant}}.tsv"
    message:
        "Size search: predicting all labels with {wildcards.variant}"


use rule evaluate_variant as evaluate_subset with:
    input:
        config=ancient(CONFIG),
        package=rules.train_subset.output.package,
        train=rules.train_variant.input.train,
        validation=rules.train_variant.input.validation,
        test=rules.evaluate_variant.input.test,
    output:
        parity=f"{CURVE}/{{labels}}/parity.csv",
        errors=f"{CURVE}/{{labels}}/errors.csv",
    log:
        f"{LOGS}/potential/learning_curve/{{labels}}/evaluate.log",
    benchmark:
        f"{BENCHMARKS}/potential/learning_curve/evaluate_{{labels}}.tsv"
    message:
        "Learning curve: predicting all labels after {wildcards.labels}"


rule time_variant:
    input:
        config=ancient(CONFIG),
        package=rules.train_variant.output.package,
        labels=rules.train_variant.input.train,
    output:
        f"{SEARCH}/{{variant}}/speed.json",
    log:
        f"{LOGS}/potential/search/{{variant}}/speed.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/speed_{{variant}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        atoms=CAMPAIGN.potential.search.atoms,
        code=code_digest("potential"),
    message:
        "Size search: timing {wildcards.variant}"
    shell:
        "glassml potential speed --config {input.config} --package {input.package}"
        " --labels {input.labels} --output {output} > {log} 2>&1"


# Networks that search.glasses names also make the first state of md.states, each for itself.
SEARCHED = CAMPAIGN.potential.search.glasses
SEARCH_STATE = CAMPAIGN.md.first_state()
SEARCH_MD = f"{SEARCH}/{{variant}}/md/{SEARCH_STATE}"
SEARCH_STRUCTURE = f"{SEARCH}/{{variant}}/structure"
SEARCH_GLASSES = {"glass": CAMPAIGN.md.glass_names(), "allow_missing": True}


rule melt_variant:
    input:
        config=ancient(CONFIG),
        package=rules.train_variant.output.package,
        start=expand(
            f"{RESULTS}/md/start/{{glass}}/restart.npz",
            glass=CAMPAIGN.md.classical_starts(
                SEARCH_STATE, CAMPAIGN.md.glass_names()
            ),
        ),
    output:
        final=expand(f"{SEARCH_MD}/{{glass}}/final.extxyz", **SEARCH_GLASSES),
        trajectory=expand(f"{SEARCH_MD}/{{glass}}/trajectory.h5md", **SEARCH_GLASSES),
        series=expand(f"{SEARCH_MD}/{{glass}}/series.csv", **SEARCH_GLASSES),
        record=expand(f"{SEARCH_MD}/{{glass}}/record.json", **SEARCH_GLASSES),
        restart=expand(f"{SEARCH_MD}/{{glass}}/restart.npz", **SEARCH_GLASSES),
    log:
        f"{LOGS}/potential/search/{{variant}}/melt.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/melt_{{variant}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=8000 + CAMPAIGN.md.atoms * CAMPAIGN.md.glasses,
        runtime=CAMPAIGN.md.runtime_minutes(SEARCH_STATE),
        gpu=1,
    params:
        protocol=CAMPAIGN.md.settings_of(SEARCH_STATE),
        seed=CAMPAIGN.seed,
        state=SEARCH_STATE,
        folder=SEARCH_MD,
        code=code_digest("md"),
    message:
        "Size search: glasses of {wildcards.variant}"
    shell:
        "glassml md batch --config {input.config} --state {params.state}"
        " --potential {input.package} --start {input.start}"
        " --output-dir {params.folder} > {log} 2>&1"


rule structure_variant:
    input:
        config=ancient(CONFIG),
        final=f"{SEARCH_MD}/{{glass}}/final.extxyz",
        trajectory=f"{SEARCH_MD}/{{glass}}/trajectory.h5md",
        record=f"{SEARCH_MD}/{{glass}}/record.json",
    output:
        folder=directory(f"{SEARCH_STRUCTURE}/{SEARCH_STATE}/{{glass}}"),
    log:
        f"{LOGS}/potential/search/{{variant}}/structure_{{glass}}.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/structure_{{variant}}_{{glass}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1500 + CAMPAIGN.md.atoms // 500,
        runtime=30 + CAMPAIGN.md.atoms // 10_000,
    params:
        settings=section("structure"),
        state=SEARCH_STATE,
        code=code_digest("structure"),
    message:
        "Size search: structure of {wildcards.glass} of {wildcards.variant}"
    shell:
        "glassml structure analyse --config {input.config} --state {params.state}"
        " --glass {wildcards.glass} --trajectory {input.trajectory} --final {input.final}"
        " --record {input.record} --threads {threads} --output-dir {output.folder} > {log} 2>&1"


rule summarise_variant:
    input:
        config=ancient(CONFIG),
        glasses=expand(rules.structure_variant.output.folder, **SEARCH_GLASSES),
    output:
        [
            f"{SEARCH_STRUCTURE}/summary/{name}"
            for name in ("states.csv", "fsdp.csv", "sq.csv", "rings.csv")
        ],
    log:
        f"{LOGS}/potential/search/{{variant}}/summary.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/summary_{{variant}}.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=30,
    params:
        settings=section("structure"),
        seed=CAMPAIGN.seed,
        state=SEARCH_STATE,
        tables=subpath(output[0], ancestor=2),
        folder=subpath(output[0], parent=True),
        code=code_digest("structure"),
    message:
        "Size search: means over glasses of {wildcards.variant}"
    shell:
        "glassml structure summary --config {input.config} --states {params.state}"
        " --input-dir {params.tables} --output-dir {params.folder} > {log} 2>&1"


rule potential_search:
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
            rules.structure_variant.output.folder,
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
        f"{LOGS}/potential/search/search.log",
    benchmark:
        f"{BENCHMARKS}/potential/search/search.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        folder=subpath(output.table, parent=True),
        code=code_digest("potential"),
    message:
        "Size search: accuracy against speed"
    shell:
        "glassml potential search --config {input.config} --folder {params.folder}"
        " --table {output.table} --figure {output.figure}"
        " --glasses {output.glasses} > {log} 2>&1"


rule potential_learning_curve:
    input:
        config=ancient(CONFIG),
        train=rules.train_variant.input.train,
        errors=expand(
            rules.evaluate_subset.output.errors,
            labels=CAMPAIGN.potential.learning_curve.names(),
        ),
    output:
        table=f"{CURVE}/learning_curve.csv",
        fit=f"{CURVE}/learning_curve_fit.csv",
        figure=f"{CURVE}/learning_curve.png",
    log:
        f"{LOGS}/potential/learning_curve/learning_curve.log",
    benchmark:
        f"{BENCHMARKS}/potential/learning_curve/learning_curve.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        folder=subpath(output.table, parent=True),
        gates=CAMPAIGN.potential.gates.model_dump(mode="json"),
        code=code_digest("potential"),
    message:
        "Learning curve: errors against the number of labels"
    shell:
        "glassml potential learning-curve --config {input.config} --folder {params.folder}"
        " --train {input.train} --table {output.table} --fit {output.fit}"
        " --figure {output.figure} > {log} 2>&1"
