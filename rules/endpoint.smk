# Input: prompts. Output: demonstrations of an expert behind an endpoint (DeepSeek-V3.2-Exp).
# Steps: ask every training prompt, as often as it takes; what was answered is never asked again.


rule demonstrate:
    input:
        prompts=f"{R}/data/{{task}}/prompts.parquet",
    output:
        f"{R}/samples/{{task}}/{{run}}/seed{{seed}}.parquet",
    log:
        f"{R}/logs/demonstrate/{{task}}/{{run}}/seed{{seed}}.log",
    benchmark:
        f"{R}/benchmarks/demonstrate/{{task}}/{{run}}/seed{{seed}}.tsv"
    wildcard_constraints:
        run=experts_of("endpoint"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("ask"),
        code=code("ask"),
        endpoint=expert_settings,
        demonstrations=demonstrations_count,
        sampling=demonstrations_settings,
        journal=f"{R}/state/{{task}}/{{run}}/seed{{seed}}/demonstrations.jsonl",
        progress=f"{R}/progress/demonstrate/{{task}}/{{run}}/seed{{seed}}.json",
    message:
        "ask {wildcards.run} for demonstrations of {wildcards.task}, seed {wildcards.seed}"
    shell:
        "python {params.script:q} --task {wildcards.task} --run {wildcards.run}"
        " --seed {wildcards.seed} --code {params.code} --endpoint {params.endpoint:q}"
        " --prompts {input.prompts} --splits train --count {params.demonstrations}"
        " --sampling {params.sampling:q} --journal {params.journal} --output {output}"
        " --progress {params.progress} > {log} 2>&1"
