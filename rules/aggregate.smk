# Input: every evaluation and training table. Output: one DuckDB database; a second one of some
# tasks where a figure needs only those, so that asking for it trains nothing else.
# Steps: read the files with SQL, one question a file, and check that they belong together.

for stored, tasks in DATABASES.items():

    rule:
        name:
            "aggregate" if stored == "measurements" else f"aggregate_{stored}"
        input:
            evaluations=[f"{R}/eval/{t}/{run}/seed{k}" for t, run, k in policies(tasks)],
            records=[f"{run_folder(*policy)}/run.json" for policy in policies(tasks)],
            training=[f"{run_folder(*policy)}/training.parquet" for policy in policies(tasks)],
            queries=sources("workflow/sql/*.sql"),
        output:
            f"{R}/{stored}.duckdb",
        log:
            f"{R}/logs/aggregate/{stored}.log",
        benchmark:
            f"{R}/benchmarks/aggregate/{stored}.tsv"
        localrule: True
        conda:
            CONDA
        params:
            script=script("aggregate"),
            code=code("aggregate"),
            results=lambda wildcards, output: os.path.dirname(output[0]),
            resamples=CLAIMED.resamples,
            seed=CLAIMED.seed,
            policies=",".join(f"{task}/{run}/seed{seed}" for task, run, seed in policies(tasks)),
        message:
            "gather everything that was measured in {output}"
        shell:
            "python {params.script:q} --results {params.results} --policies {params.policies}"
            " --resamples {params.resamples} --seed {params.seed}"
            " --code {params.code} --database {output} > {log} 2>&1"
