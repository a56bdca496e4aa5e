"""A tiny chat model for a server that is not ours."""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from online_il.models import save_policy, word_tokenizer


def save_chat_model(folder, words, template):
    """A chat model of random weights, far from uniform.

    A Llama, for the server reads a Qwen's answers through Qwen's own chat format, which a toy
    vocabulary does not have.
    """
    tokenizer = word_tokenizer(words)
    tokenizer.chat_template = template
    torch.manual_seed(3)
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    with torch.no_grad():
        for parameter in llama.parameters():
            parameter *= 8
    # The server takes from here what a request cannot say: whether to sample, and from how many.
    llama.generation_config.do_sample, llama.generation_config.top_k = True, 0
    save_policy(llama, tokenizer, folder)
    return folder
