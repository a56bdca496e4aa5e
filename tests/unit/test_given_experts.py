"""Experts that give log-probabilities, with every way to imitate, against the same as a model."""

import pytest
from test_imitation_runs import DEMONSTRATIONS, RESPONSE, run, summed, ways
from training_runs import WORDS, same_gradient, tiny

from online_il.experts import teacher as teachers
from online_il.experts.model import LoopPolicy
from online_il.models import save_policy, word_tokenizer


@pytest.mark.parametrize(
    "way",
    [
        {"prefixes": "expert", "divergence": "forward", "batch_size": 6},
        {"divergence": "reverse"},
        RESPONSE,
        RESPONSE | {"divergence": "log-density"},
    ],
    ids=str,
)
def test_an_expert_given_by_its_probabilities_teaches_what_the_model_does(
    way, tmp_path, monkeypatch
):
    monkeypatch.setattr(teachers, "LARGEST_VOCABULARY", 1)
    save_policy(tiny(seed=1), word_tokenizer(WORDS), tmp_path / "expert")
    given = teachers.Teacher(LoopPolicy(tmp_path / "expert", 64))
    assert given.get_output_embeddings() is None
    rows = DEMONSTRATIONS if "prefixes" in way else None
    model = run(tmp_path / "model", ways(**way), rows).seen
    found = run(tmp_path / "given", ways(**way), rows, teacher=given).seen
    assert [micro.loss for micro in found] == pytest.approx([m.loss for m in model], abs=1e-5)
    same_gradient(summed(found), summed(model))
