# Input: prompts and, for a trained expert, its last checkpoint. Output: its demonstrations.
# Steps: sample the expert's responses to the training prompts (sample), or solve them (solve).


rule sample:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        checkpoints=lambda wildcards: checkpoints_of_policy(**wildcards),
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.parquet",
    log:
        f"{R}/logs/sample/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/sample/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=weighted(),
    priority: 9
    conda:
        CONDA
    threads: threads_of("sample")
    resources:
        **asks("sample"),
    params:
        script=script("sample"),
        code=code("sample"),
        demonstrations=demonstrations_count,
        sampling=demonstrations_settings,
        generation=STUDY.generation.model_dump_json(),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}/demonstrations.jsonl",
        progress=f"{R}/progress/sample/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "sample demonstrations of {wildcards.run} for {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --checkpoints {input.checkpoints}"
        " --prompts {input.prompts} --count {params.demonstrations} --sampling {params.sampling:q}"
        " --generation {params.generation:q} --state {params.state} --output {output}"
        " --progress {params.progress} > {log} 2>&1"


rule solve:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.parquet",
    log:
        f"{R}/logs/solve/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/solve/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=experts_of("solver"),
    conda:
        CONDA
    params:
        script=script("solve"),
        code=code("solve"),
        demonstrations=demonstrations_count,
    message:
        "solve the training prompts of {wildcards.task} exactly, seed {wildcards.seed}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --prompts {input.prompts}"
        " --count {params.demonstrations} --output {output} > {log} 2>&1"


rule solve_benchmark:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.{{split}}.parquet",
    log:
        f"{R}/logs/solve_benchmark/{{task}}/{{run}}/seed{{seed}}.{{split}}.log",
    benchmark:
        f"{R}/benchmarks/solve_benchmark/{{task}}/{{run}}/seed{{seed}}.{{split}}.tsv"
    wildcard_constraints:
        run=experts_of("solver"),
        split="id|ood",
    conda:
        CONDA
    params:
        script=script("solve"),
        code=code("solve"),
        number=lambda wildcards: getattr(TASKS[wildcards.task].data, wildcards.split),
    message:
        "let {wildcards.run} answer the {wildcards.split} prompts of {wildcards.task}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --prompts {input.prompts}"
        " --split {wildcards.split} --count {params.number} --output {output} > {log} 2>&1"
