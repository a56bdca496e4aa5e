"""The site block of the Slurm profile."""

from pathlib import Path

import pytest
import yaml

from online_il.config.site import Site, SiteError, capped, gpu_job, load_site

PROFILE = Path(__file__).parents[2] / "slurm" / "config.yaml"
FACTS = {
    "gpu_model": "a100",
    "cpus_per_gpu": 8,
    "gpu_partition": "gpu",
    "cpu_partition": "cpu",
    "account": "lab",
    "qos": None,
    "max_runtime": 1440,
    "max_mem_mb": None,
}


def written(folder: Path, facts: dict) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"site": facts, "executor": "slurm"}))
    return path


def test_the_shipped_profile_has_every_fact_and_uses_the_ones_that_snakemake_needs():
    profile = yaml.safe_load(PROFILE.read_text())
    assert set(profile["site"]) == set(Site.model_fields)
    facts = PROFILE.read_text()
    for key, value in (("cpu_partition", "attic"), ("account", "lab"), ("qos", "high")):
        facts = facts.replace(f"{key}: &{key} null", f"{key}: &{key} {value}")
    defaults = yaml.safe_load(facts)["default-resources"]
    assert (defaults["slurm_partition"], defaults["slurm_account"]) == ("attic", "lab")
    assert defaults["qos"] == "high"


def test_a_job_with_gpus_asks_for_the_model_on_one_node_and_one_without_does_not(tmp_path):
    site = load_site(written(tmp_path, FACTS))
    assert gpu_job(site, 8) == {
        "slurm_partition": "gpu",
        "gpu_model": "a100",
        "cpus_per_gpu": 8,
        "nodes": 1,
    }
    assert gpu_job(site, 0) == {"slurm_partition": "cpu"}


def test_another_attempt_asks_for_more_up_to_what_the_site_grants():
    assert [capped(1000, attempt, 1440) for attempt in (1, 2, 3)] == [1000, 1440, 1440]
    assert capped(2000, 1, 1440) == 1440
    assert capped(1000, 3, None) == 3000


def test_everything_wrong_with_a_site_is_reported_at_once(tmp_path):
    facts = FACTS | {"gpu_model": "a100; rm", "account": 12345, "qoss": "high"}
    del facts["gpu_partition"]
    with pytest.raises(SiteError) as refused:
        load_site(written(tmp_path, facts))
    message = str(refused.value)
    assert str(tmp_path / "config.yaml") in message
    assert 'site.gpu_model = "a100; rm"' in message
    assert "site.account = 12345" in message and "quotes" in message
    assert (
        'site.qoss = "high": unknown key' in message
        and "site.gpu_partition: a required key" in message
    )


@pytest.mark.parametrize("text", ["executor: slurm\n", "", "[1]\n"])
def test_a_profile_without_a_site_is_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SiteError, match="no `site:` block"):
        load_site(path)


@pytest.mark.parametrize("content", [b"site: [", b"\xff\xfe\x00"])
def test_a_profile_that_is_no_yaml_is_refused(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(path)
