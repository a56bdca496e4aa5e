# Input: every evaluation and training table. Output: one DuckDB database.
# Steps: read the files with SQL, one question a file, and check that they belong together.


rule aggregate:
    input:
        evaluations=[f"{R}/eval/{t}/{run}/seed{seed}" for t, run, seed in policies()],
        records=[run_folder(*policy) + "/run.json" for policy in policies()],
        training=[run_folder(*policy) + "/training.parquet" for policy in policies()],
        queries=sorted(str(path) for path in (ROOT / "workflow" / "sql").glob("*.sql")),
    output:
        f"{R}/results.duckdb",
    params:
        script=script("aggregate"),
        code=code("aggregate"),
        results=R,
    log:
        f"{R}/logs/aggregate.log",
    benchmark:
        f"{R}/benchmarks/aggregate.tsv"
    conda:
        CONDA
    message:
        "gather everything that was measured in {output}"
    shell:
        "python {params.script} --results {params.results} --code {params.code}"
        " --database {output} 2> {log}"
