"""Tiny models of every shape that the decode loop knows."""

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from online_il.config.sampling import Sampling
from online_il.generation import decode

V, EOS = 23, 2
SHAPE = {
    "vocab_size": V,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": EOS,
    "initializer_range": 0.4,  # Far from uniform, so that a wrong mask or angle shows.
}
MODELS = {
    "qwen2 tied": (Qwen2Config, {"num_key_value_heads": 4, "tie_word_embeddings": True}),
    "qwen2 gqa": (Qwen2Config, {"num_key_value_heads": 2, "tie_word_embeddings": False}),
    "qwen2 theta": (
        Qwen2Config,
        {
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 50.0},
            "rms_norm_eps": 0.1,
        },
    ),
    "llama gqa": (LlamaConfig, {"num_key_value_heads": 2, "tie_word_embeddings": True}),
    "llama wide": (LlamaConfig, {"num_key_value_heads": 4, "head_dim": 10}),
}


def make(config_class, options) -> torch.nn.Module:
    torch.manual_seed(0)
    config = config_class(**(SHAPE | options))
    model = (Qwen2ForCausalLM if config_class is Qwen2Config else LlamaForCausalLM)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "norm" in name:
                parameter += 0.3 * torch.randn_like(parameter)  # They start at 0 and at 1.
    return model.eval()


def loop(model) -> decode.Decoder:
    return decode.decoder(model.state_dict(), model.config.to_dict())


def prompts_of(lengths, seed=0) -> list[list[int]]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, V, (n,), generator=generator).tolist() for n in lengths]


@torch.inference_mode()
def hf_logits(model, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False).logits[0]


GREEDY = Sampling(temperature=0.0, max_new_tokens=14)
