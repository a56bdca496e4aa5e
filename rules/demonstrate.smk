# Input: prompts. Output: the demonstrations of an expert behind an endpoint.
# Steps: ask for them; what was answered is never asked again.

# Jobs that ask an endpoint run on the machine that submits: so many at once, each with requests of its
# own; `--resources endpoint=4` says otherwise. Snakemake's `--local-cores` limits nothing.
ENDPOINTS = 2
if "endpoint" not in workflow.global_resources:
    workflow.register_resource("endpoint", ENDPOINTS)


rule demonstrate:
    input:
        prompts=LAYOUT.prompts(),
    output:
        LAYOUT.samples(),
    log:
        LAYOUT.log("demonstrate", *POLICY),
    benchmark:
        LAYOUT.benchmark("demonstrate", *POLICY)
    wildcard_constraints:
        run=experts_of_kind("endpoint"),
    # The program asks again by itself what may pass; what stays wrong, a key say, is told once.
    retries: 0
    localrule: True
    conda:
        CONDA
    resources:
        endpoint=1,
    params:
        **program(
            "ask",
            **OF_POLICY,
            endpoint=endpoint_settings,
            count=demonstrations_count,
            sampling=demonstrations_sampling,
        ),
        journal=str(LAYOUT.state() / "demonstrations.jsonl"),
        progress=progress("demonstrate"),
    message:
        "ask {wildcards.run} for demonstrations of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(
            PROGRAM,
            "--prompts {input.prompts} --output {output}",
            "--journal {params.journal} --progress {params.progress}",
            TO_LOG,
        )
