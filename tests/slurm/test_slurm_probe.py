"""`snakemake probe` on a real Slurm: one job with GPUs, its report shown where it was asked for."""

import json

from cluster import PARTITION
from conftest import checkout, finish, start

ON_GPUS = """extends: smoke.yaml
scale: on-gpus
hardware: gpu
generation: {engine: transformers}
resources:
  finetune: {gpu: 1}
  grpo: {gpu: 2}
  sft: {gpu: 1}
  distill: {gpu: 1}
"""


def test_a_node_is_tried_once_and_its_report_is_shown(cluster, tmp_path):
    from online_il.config.architecture import Architecture
    from online_il.models import byte_tokenizer, new_model, save_policy

    folder = checkout(tmp_path)
    (folder / "config" / "on-gpus.yaml").write_text(ON_GPUS)
    results = folder / "results" / "on-gpus"
    # In the place of the one that pip fetches.
    shape = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=1, head_dim=16)
    tokenizer = byte_tokenizer()
    place = results / "probe" / "model" / "step0"
    save_policy(new_model(shape, tokenizer, 4096, 1), tokenizer, place)
    before = len(cluster.jobs())
    status, output = finish(start(folder, cluster, "probe", "--configfile", "config/on-gpus.yaml"))
    # The GPUs are pretended, so that no driver is found; the profile tries other jobs twice more.
    assert status != 0
    jobs = [job for job in cluster.jobs()[before:] if job["Comment"].startswith("rule_probe")]
    (job,) = jobs
    assert (job["TresPerJob"], job["NumNodes"]) == ("gres:gpu:a100:2", "1")
    assert (job["NodeList"], job["Partition"], job["NumCPUs"]) == ("nodea", PARTITION, "4")
    record = json.loads((results / "probe.json").read_text())
    assert record["complete"] and not record["can_start"]
    states = {finding["check"]: finding["status"] for finding in record["findings"]}
    assert (states["driver"], states["gpu"], states["model"]) == ("failed", "failed", "passed")
    assert output.count((results / "probe.txt").read_text()) == 1, output[-3000:]
    assert "The study on-gpus cannot start here: " in output
