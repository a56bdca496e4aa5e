# Input: prompts. Output: responses to benchmarks of models that are no runs (paper, 3.1.1), and of
# the solver. Steps: as for demonstrations, with `respond` for `sample`, `ask` for `demonstrate` and
# `solve_benchmark` for `solve`.

OF_RESPONSES = {
    **OF_POLICY,
    "splits": sampled_benchmarks_of,
    "samples_per_prompt": lambda wildcards: SAMPLED[wildcards.task, wildcards.run].responses,
    "sampling": lambda wildcards: SAMPLED[wildcards.task, wildcards.run].sampling,
}


use rule sample as respond with:
    output:
        LAYOUT.responses(),
    log:
        LAYOUT.log("respond", *POLICY),
    benchmark:
        LAYOUT.benchmark("respond", *POLICY)
    wildcard_constraints:
        run=experts_of_kind("model", "package", "random"),
    priority: 0
    params:
        **program("sample", **OF_RESPONSES, generation=STUDY.generation),
        state=str(LAYOUT.state() / "responses.jsonl"),
        progress=progress("respond"),
        limit=limit,
        unit_rows=unit_rows("sample"),
    message:
        "sample responses of {wildcards.run} to the benchmarks of {wildcards.task}"


use rule demonstrate as ask with:
    output:
        LAYOUT.responses(),
    log:
        LAYOUT.log("ask", *POLICY),
    benchmark:
        LAYOUT.benchmark("ask", *POLICY)
    localrule: True
    params:
        **program("ask", **OF_RESPONSES, endpoint=endpoint_settings),
        journal=str(LAYOUT.state() / "responses.jsonl"),
        progress=progress("ask"),
    message:
        "ask {wildcards.run} the benchmarks of {wildcards.task}"


use rule solve as solve_benchmark with:
    input:
        prompts=lambda wildcards: table_of_prompts(wildcards.task, wildcards.split),
        model=model_in_english,
    output:
        LAYOUT.samples(split="{split}"),
    log:
        LAYOUT.log("solve_benchmark", "{task}", "{run}", "seed{seed}.{split}"),
    benchmark:
        LAYOUT.benchmark("solve_benchmark", "{task}", "{run}", "seed{seed}.{split}")
    wildcard_constraints:
        run=experts_of_kind("solver"),
        split="id|ood|id2|ood2",
    params:
        **program(
            "solve",
            **OF_POLICY,
            split=attrgetter("split"),
            count=count_of_prompts,
        ),
    message:
        "let {wildcards.run} answer the {wildcards.split} prompts of {wildcards.task}"
