"""One self-contained page with every figure and table of a campaign."""

LAST_GENERATION = CAMPAIGN.potential.generations - 1
STUDIES = {
    "search": [
        rules.studies_search.output.table,
        rules.studies_search.output.glasses,
    ],
    "learning_curve": [
        rules.studies_learning_curve.output.table,
        rules.studies_learning_curve.output.fit,
    ],
}


rule report:
    input:
        config=ancient(CONFIG),
        labels=[
            f"{RESULTS}/{stage}/{family}/{shard}.csv"
            for stage in ("configurations", "dft")
            for family, shard in CAMPAIGN.configurations.all_shards()
        ],
        convergence=(
            list(rules.dft_converge.output)
            if CAMPAIGN.dft.convergence.families
            else []
        ),
        polymorphs=(
            list(rules.dft_polymorphs.output) if CAMPAIGN.dft.polymorphs.names else []
        ),
        dataset=expand(
            [
                rules.build_dataset.output.statistics,
                rules.build_dataset.output.flags,
                rules.build_dataset.output.isolated_atoms,
                rules.build_dataset.output.manifest,
            ],
            generation=LAST_GENERATION,
        ),
        potential=expand(
            [
                rules.train_potential.output.history,
                rules.evaluate_potential.output.parity,
                rules.evaluate_potential.output.errors,
                *rules.verify_potential.output,
            ],
            generation=LAST_GENERATION,
            member=MEMBERS,
        ),
        gates=expand(
            [
                *rules.potential_gates.output,
                rules.potential_gate.output.table,
                rules.model_card.output.text,
            ],
            generation=LAST_GENERATION,
            gate=CAMPAIGN.potential.gate_names(),
        ),
        generations=(
            list(rules.studies_generations.output)
            if CAMPAIGN.potential.generations > 1
            else []
        ),
        studies=[STUDIES[study] for study in CAMPAIGN.report.include],
        dynamics=[
            f"{RESULTS}/md/{state}/{glass}/{name}"
            for state in CAMPAIGN.md.states
            for glass in CAMPAIGN.md.glass_names()
            for name in ("series.csv", "record.json", "final.extxyz")
        ],
        structure=rules.structure_summary.output,
    output:
        html=report(
            f"{RESULTS}/report/report.html",
            caption="../report/page.rst",
            category="Report",
            labels={"what": "the whole page"},
        ),
        acceptance=report(
            f"{RESULTS}/report/acceptance.csv",
            caption="../report/acceptance.rst",
            category="Report",
            labels={"what": "acceptance table"},
        ),
        summary=f"{RESULTS}/report/report.json",
        figures=report(
            directory(f"{RESULTS}/report/figures"),
            patterns=["{figure}.png"],
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        tables=directory(f"{RESULTS}/report/tables"),
    log:
        f"{LOGS}/report/report.log",
    benchmark:
        f"{BENCHMARKS}/report/report.tsv"
    conda:
        "../envs/glassml.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000, measured="report"),
        runtime=minutes(30),
    params:
        settings=section("report"),
        title=CAMPAIGN.title,
        results=subpath(input.config, parent=True),
        folder=subpath(output.html, parent=True),
        code=code_digest("report build"),
    message:
        "Writing the report of {CAMPAIGN.name}"
    shell:
        "glassml report build --config {input.config} --results {params.results}"
        " --output-dir {params.folder} > {log} 2>&1"
