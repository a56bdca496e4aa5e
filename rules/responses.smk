# Input: prompts. Output: responses of models that are no runs, to compare them (paper, 3.1.1).
# Steps: sample a model that can be loaded (respond), or ask one behind an endpoint (ask).


rule tokenizer:
    output:
        directory(f"{R}/tokenizers/{{task}}/{{expert}}/{{student}}"),
    log:
        f"{R}/logs/tokenizer/{{task}}/{{expert}}/{{student}}.log",
    benchmark:
        f"{R}/benchmarks/tokenizer/{{task}}/{{expert}}/{{student}}.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("tokenizer"),
        code=code("tokenizer"),
        settings=lambda w: MODELS[w.task, w.expert, w.student].tokenizer.model_dump_json(),
    message:
        "fetch the tokenizer that counts the tokens of {wildcards.expert} and {wildcards.student}"
    shell:
        "python {params.script:q} --settings {params.settings:q} --code {params.code}"
        " --output {output} > {log} 2>&1"


rule respond:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
        checkpoints=f"{R}/models/{{task}}/{{run}}",
    output:
        f"{R}/responses/{{task}}/{{run}}/seed{{seed}}.parquet",
    log:
        f"{R}/logs/respond/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/respond/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=experts_of("model", "random"),
    conda:
        CONDA
    threads: threads_of("sample")
    resources:
        **asks("sample"),
    params:
        script=script("sample"),
        code=code("sample"),
        splits=lambda wildcards: ",".join(TASKS[wildcards.task].benchmarks),
        responses=lambda wildcards: SAMPLED[wildcards.task, wildcards.run].responses,
        sampling=sampling_of,
        generation=STUDY.generation.model_dump_json(),
        state=f"{R}/state/{{task}}/{{run}}/seed{{seed}}/responses.jsonl",
        progress=f"{R}/progress/respond/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "sample responses of {wildcards.run} to the benchmarks of {wildcards.task}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --checkpoints {input.checkpoints}"
        " --prompts {input.prompts} --splits {params.splits} --samples-per-prompt {params.responses}"
        " --sampling {params.sampling:q} --generation {params.generation:q} --state {params.state}"
        " --output {output} --progress {params.progress} > {log} 2>&1"


rule ask:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        f"{R}/responses/{{task}}/{{run}}/seed{{seed}}.parquet",
    log:
        f"{R}/logs/ask/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/ask/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=experts_of("endpoint"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("ask"),
        code=code("ask"),
        endpoint=expert_settings,
        splits=lambda wildcards: ",".join(TASKS[wildcards.task].benchmarks),
        responses=lambda wildcards: SAMPLED[wildcards.task, wildcards.run].responses,
        sampling=sampling_of,
        journal=f"{R}/state/{{task}}/{{run}}/seed{{seed}}/responses.jsonl",
        progress=f"{R}/progress/ask/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "ask {wildcards.run} the benchmarks of {wildcards.task}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --endpoint {params.endpoint:q}"
        " --prompts {input.prompts} --splits {params.splits} --samples-per-prompt {params.responses}"
        " --sampling {params.sampling:q} --journal {params.journal} --output {output}"
        " --progress {params.progress} > {log} 2>&1"
