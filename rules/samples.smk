# Input: prompts and, for a trained expert, its last checkpoint. Output: its demonstrations.
# Steps: sample the expert's responses to the training prompts (sample), or solve them (solve).


rule sample:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        checkpoints=lambda wildcards: checkpoints_of_policy(**wildcards),
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.parquet",
    wildcard_constraints:
        run="|".join({"base", *(name for _, name in RUNS)}),
    params:
        script=script("sample"),
        code=code("sample"),
        count=STUDY.methods.sft.demonstrations,
        sampling=STUDY.evaluation.policy.model_dump_json(),
        engine=STUDY.generation.engine,
        batch_size=STUDY.generation.batch_size,
        progress=f"{R}/progress/sample/{{task}}/{{run}}/seed{{seed}}.json",
    log:
        f"{R}/logs/sample/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/sample/{{task}}/{{run}}/seed{{seed}}.tsv"
    priority: 9
    threads: STUDY.resources.sample.threads
    resources:
        **asks("sample"),
    conda:
        CONDA
    message:
        "sample demonstrations of {wildcards.run} for {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --checkpoints {input.checkpoints}"
        " --prompts {input.prompts} --count {params.count} --sampling {params.sampling:q}"
        " --engine {params.engine} --batch-size {params.batch_size} --output {output}"
        " --progress {params.progress} 2> {log}"


rule solve:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.parquet",
    wildcard_constraints:
        run="|".join({expert.name for t in STUDY.tasks for expert in t.experts}) or "(?!)",
    params:
        script=script("solve"),
        code=code("solve"),
        count=STUDY.methods.sft.demonstrations,
    log:
        f"{R}/logs/solve/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/solve/{{task}}/{{run}}/seed{{seed}}.tsv"
    conda:
        CONDA
    message:
        "solve the training prompts of {wildcards.task} exactly, seed {wildcards.seed}"
    shell:
        "python {params.script} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --prompts {input.prompts}"
        " --count {params.count} --output {output} 2> {log}"
