# Input: prompts and the checkpoints of one run. Output: a folder of evaluations, JSON and Parquet.
# Steps: sample and grade each checkpoint on each benchmark, in one process (start-up costs more).


rule evaluate:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        checkpoints=f"{RUN}/checkpoints",
        record=f"{RUN}/run.json",
    output:
        directory(f"{R}/eval/{{task}}/{{run}}/seed{{seed}}"),
    log:
        f"{R}/logs/evaluate/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/{{task}}/{{run}}/seed{{seed}}.tsv"
    conda:
        CONDA
    threads: threads_of("evaluate")
    resources:
        **asks("evaluate"),
    params:
        script=script("evaluate"),
        code=code("evaluate"),
        settings=evaluation_settings,
        benchmarks=lambda wildcards: ",".join(TASKS[wildcards.task].benchmarks),
        generation=STUDY.generation.model_dump_json(),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}/evaluation",
        progress=f"{R}/progress/evaluate/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "evaluate {wildcards.run} of {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --settings {params.settings:q}"
        " --benchmarks {params.benchmarks} --checkpoints {input.checkpoints}"
        " --record {input.record} --prompts {input.prompts} --generation {params.generation:q}"
        " --state {params.state} --output {output} --progress {params.progress} > {log} 2>&1"
