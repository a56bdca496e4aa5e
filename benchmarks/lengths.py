"""Prompts of many lengths: our decode loop against transformers' `generate`, side by side.

    PYTHONPATH=workflow python benchmarks/lengths.py --rounds 3

A random Llama model of SmolLM2-135M's shape; 16 prompts of 16 lengths, 20 to 125 tokens; 24 greedy
tokens each, one thread. The arms take turns and swap order every round. Also the same prompt 16
times, as GRPO asks it, which the loop reads once. `benchmarks/speed.py` shows this, too.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.generation import decode
from online_il.program.cli import main

SHAPE = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
LENGTHS = [20 + 7 * number for number in range(16)]
NEW = 24
EOS = 2
Responses = list[list[int]]


def arms(layers: int = SHAPE["num_hidden_layers"]) -> dict[str, Callable[[Responses], Responses]]:
    """What draws greedy responses to prompts (token ids), ours and `generate`, for one model."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SHAPE | {"num_hidden_layers": layers})).eval()
    decoder = decode.decoder(model.state_dict(), model.config.to_dict())

    def ours(prompts: Responses) -> Responses:
        return decode.generate(
            decoder,
            prompts,
            [(row, 0) for row in range(len(prompts))],
            sampling=Sampling(temperature=0.0, max_new_tokens=NEW),
            seed=0,
            eos_token_id=EOS,
        )

    def stock(prompts: Responses) -> Responses:
        longest = max(map(len, prompts))
        ids_B_T = torch.tensor([[0] * (longest - len(row)) + row for row in prompts])
        mask_B_T = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in prompts])
        out_B_T = model.generate(
            ids_B_T,
            attention_mask=mask_B_T,
            do_sample=False,
            max_new_tokens=NEW,
            eos_token_id=EOS,
            pad_token_id=0,
        )
        rows = out_B_T[:, longest:].tolist()
        return [row[: row.index(EOS) + 1] if EOS in row else row for row in rows]

    return {"ours": ours, "stock": stock}


def measure(rounds: int, layers: int = SHAPE["num_hidden_layers"]) -> dict[str, list[float]]:
    """How many times as fast as `generate` our loop was, round by round, by kind of prompts."""
    generator, ratios = torch.Generator().manual_seed(1), {}
    made = arms(layers)
    mixed = [torch.randint(3, 49_152, (n,), generator=generator).tolist() for n in LENGTHS]
    for kind, prompts in {"16 lengths": mixed, "one prompt 16 times": [mixed[-1]] * 16}.items():
        seconds: dict[str, list[float]] = {"ours": [], "stock": []}
        for number in range(rounds):
            responses = {}
            for arm in ("ours", "stock") if number % 2 == 0 else ("stock", "ours"):
                begin = time.perf_counter()
                responses[arm] = made[arm](prompts)
                seconds[arm].append(time.perf_counter() - begin)
            same = sum(a == b for a, b in zip(*responses.values(), strict=True))
            print(f"{kind}, round {number + 1}: {same} of {len(prompts)} responses identical")
        ratios[kind] = [b / a for a, b in zip(seconds["ours"], seconds["stock"], strict=True)]
    return ratios


def run(options: argparse.Namespace) -> None:
    """Print the ratios."""
    if options.rounds < 1 or options.layers < 1:
        raise InputError("--rounds and --layers must be positive")
    torch.set_num_threads(1)
    for kind, ratios in measure(options.rounds, options.layers).items():
        print(
            f"{kind}: ours is {median(ratios):.2f} [{min(ratios):.2f} - {max(ratios):.2f}] times "
            "as fast as generate"
        )


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=3, help="times that each arm runs")
    arguments.add_argument("--layers", type=int, default=30, help="layers of the model")
    main(run, arguments)
