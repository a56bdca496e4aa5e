# Input: every evaluation and training table. Output: one DuckDB database.
# Steps: read the files with SQL, one question a file, and check that they belong together.


rule aggregate:
    input:
        evaluations=[f"{R}/eval/{t}/{run}/seed{seed}" for t, run, seed in policies()],
        records=[f"{run_folder(*policy)}/run.json" for policy in policies()],
        training=[f"{run_folder(*policy)}/training.parquet" for policy in policies()],
        queries=sorted(str(path) for path in (ROOT / "workflow" / "sql").glob("*.sql")),
    output:
        f"{R}/results.duckdb",
    log:
        f"{R}/logs/aggregate.log",
    benchmark:
        f"{R}/benchmarks/aggregate.tsv"
    conda:
        CONDA
    params:
        script=script("aggregate"),
        code=code("aggregate"),
        results=lambda wildcards, output: os.path.dirname(output[0]),
        policies=",".join(f"{task}/{run}/seed{seed}" for task, run, seed in policies()),
    message:
        "gather everything that was measured in {output}"
    shell:
        "python {params.script} --results {params.results} --policies {params.policies}"
        " --code {params.code} --database {output} > {log} 2>&1"
