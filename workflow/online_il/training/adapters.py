"""Low-rank adapters (LoRA), by peft: trained in the place of all weights of a policy.

TRL puts them into the model; GRPO's reference is the same model with them switched off. Whoever
needs the policy's weights, engines and checkpoints, gets them merged and computed aside: what peft
adds and takes off again would leave the base's own weights rounded.
"""

from collections.abc import Iterator
from typing import Any

from peft import LoraConfig
from peft.tuners.lora import Linear
from torch import Tensor, nn
from transformers import PreTrainedModel

from online_il.config.lora import Lora
from online_il.errors import InputError

INSIDE = ".base_layer."
"""What peft puts into the names of the weights that an adapter is laid over."""


def peft_config(lora: Lora | None, model: PreTrainedModel, processes: int) -> LoraConfig | None:
    """Configure peft; None where all weights are trained.

    Raises `InputError` for matrices that the model does not have, and for several processes.
    """
    if lora is None:
        return None
    if processes > 1:
        raise InputError(
            f"lora is trained on one GPU, and here are {processes} processes; ask for one GPU, "
            "or remove lora"
        )
    if lora.target_modules != "all-linear":
        head = model.get_output_embeddings()
        known = {
            name.rpartition(".")[2]
            for name, part in model.named_modules()
            if isinstance(part, nn.Linear) and part is not head
        }
        for name in lora.target_modules:
            if name not in known:
                raise InputError(
                    f"lora.target_modules: the model has no matrix {name!r}; "
                    f"there are: {', '.join(sorted(known))}"
                )
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        target_modules=lora.target_modules,
        lora_dropout=0.0,
        bias="none",
    )


def has_adapter(model: nn.Module) -> bool:
    """Say whether an adapter lies over some of a model's weights."""
    return any(isinstance(part, Linear) for part in model.modules())


def merged_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Give a policy's weights one by one, under their names without an adapter.

    Those with an adapter are merged, in single precision; weights that are tied come once.
    """
    adapted = {name: part for name, part in model.named_modules() if isinstance(part, Linear)}
    adapter_names = {
        f"{name}.{own}" for name, part in adapted.items() for own in _adapter_names(part)
    }
    for name, tensor in model.named_parameters():
        if name in adapter_names:
            continue
        place, inside, own = name.rpartition(INSIDE)
        value = tensor.detach()
        if inside and own == "weight":
            value = value.float() + adapted[place].get_delta_weight("default").detach().float()
        yield name.replace(INSIDE, "."), value


def _adapter_names(part: Any) -> set[str]:
    """Name what an adapter adds to a matrix; the rest is the matrix's own."""
    return {name for name, _ in part.named_parameters() if not name.startswith("base_layer.")}


def named_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Give the weights of a policy as `transformers` has them, an adapter merged."""
    yield from merged_weights(model) if has_adapter(model) else model.state_dict().items()


def hand_over_merged(trainer: Any) -> None:
    """Let TRL hand merged weights to vLLM without laying them into the model."""
    model = trainer.model.get_base_model()
    trainer.vllm_generation._iter_named_params = lambda: merged_weights(model)
