"""Tokenizers and models: made from scratch for the miniature, read from a folder everywhere else.

A published policy is a folder in `transformers` format: config.json, model.safetensors (never
pickled weights) and the tokenizer. Writing one is atomic: it is complete or absent.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from online_il.config.architecture import Architecture
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.files import flush, made_aside
from online_il.layout import MIXTURE, PARTS, existing_steps, parts_of, weights_of
from online_il.provenance import file_hash, files_hash, identity

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

WEIGHTS = "model.safetensors"
GENERATION = "generation_config.json"


def is_mixture(folder: Path) -> bool:
    """Say whether the policy in a folder is a mixture of others."""
    return (folder / MIXTURE).is_file()


def weights_hash(folder: Path) -> str:
    """Hash a policy's weights (SHA-256): the one file, or the hashes of its parts in order."""
    files = weights_of(folder)
    if not files:
        raise InputError(f"{folder}: no weights (safetensors) in it; delete it and start again")
    return files_hash(files)


def form_hash(folder: Path) -> str:
    """Hash what else makes a policy: its config, tokenizer, chat template, how it generates."""
    folders = [folder, *parts_of(folder).values()]
    files = sorted(path for one in folders for path in one.iterdir() if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files if not path.match(PARTS)}
    return identity(files={name: file_hash(path) for name, path in names.items()})


def policy_hash(folder: Path) -> str:
    """Hash all that a policy is: what goes on from another one would be of another job."""
    return identity(weights=weights_hash(folder), form=form_hash(folder))


def word_tokenizer(vocabulary: tuple[str, ...]) -> "PreTrainedTokenizerFast":
    """Make a tokenizer with one token a word, split at white space, ids in the order given.

    An unknown word is refused by `tokenizers` rather than mapped to some token.
    """
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: index for index, word in enumerate(vocabulary)}))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


CHAT = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
    "{% if not loop.last or message['role'] == 'user' %}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""A plain chat template, for models that are made here."""


def byte_tokenizer() -> "PreTrainedTokenizerFast":
    """Make a tokenizer with one token a byte and a chat template: it reads any text."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    specials = ("<pad>", "<bos>", "<eos>")
    words = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    letters = Tokenizer(BPE({word: index for index, word in enumerate(words)}, merges=[]))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    letters.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=letters,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT,
    )


def new_model(
    architecture: Architecture, tokenizer: "PreTrainedTokenizerFast", max_length: int, seed: int
) -> "PreTrainedModel":
    """Make a randomly initialised model of Qwen2's shape (as the paper's Countdown base has).

    Its type is `seed_oss`, which computes the same of the same weights: `AutoTokenizer` would give
    a `qwen2` model Qwen2's own pre-tokenizer, which splits numbers into digits (docs/log.md).
    """
    from transformers import SeedOssConfig, SeedOssForCausalLM, set_seed

    set_seed(seed)
    return SeedOssForCausalLM(
        SeedOssConfig(
            vocab_size=len(tokenizer),
            hidden_size=architecture.hidden_size,
            intermediate_size=architecture.intermediate_size,
            num_hidden_layers=architecture.layers,
            num_attention_heads=architecture.heads,
            num_key_value_heads=architecture.heads,
            head_dim=architecture.head_dim,
            attention_bias=True,
            attention_out_bias=False,
            attention_dropout=0.0,
            residual_dropout=0.0,
            max_position_embeddings=max_length,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            dtype="float32",
        )
    )


def load_model(folder: Path, dtype: str = "auto") -> "PreTrainedModel":
    """Load the model in `folder`, safetensors only and without remote code.

    What is trained is loaded in single precision, on CPUs and GPUs alike: updates of 1e-6 vanish in
    bfloat16 weights. Of its generation config the ends of a response are kept, all of them
    (`end_ids`), and no setting of sampling, which would reach rollouts beside our own.
    """
    from transformers import AutoModelForCausalLM, GenerationConfig

    ends = end_ids(folder)
    model = AutoModelForCausalLM.from_pretrained(
        folder, use_safetensors=True, trust_remote_code=False, dtype=dtype
    )
    model.generation_config = GenerationConfig(
        eos_token_id=ends,
        bos_token_id=model.config.bos_token_id,
        pad_token_id=model.config.pad_token_id,
    )
    return model


def cut_vocabulary(model: "PreTrainedModel", rows: int) -> None:
    """Cut the tokens from id `rows` on off a model, in place; its probabilities renormalise.

    For rows that no token has (`online_il.vocabulary.kept_rows`).
    """
    if model.config.vocab_size > rows:
        model.resize_token_embeddings(rows)


def inference_dtype(on_gpu: bool) -> str:
    """Choose the precision of a policy that is not trained: on a CPU always single."""
    return "auto" if on_gpu else "float32"


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerFast":
    """Load the tokenizer in `folder` as tokenizer.json says, padding on the left.

    Not through `AutoTokenizer`: for a model of type `qwen2` it puts Qwen2's own pre-tokenizer in
    the place of the one in the file (docs/log.md).
    """
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, padding_side="left")


def save_policy(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    folder: Path,
    state: Mapping[str, "Tensor"] | None = None,
) -> None:
    """Write a policy's folder; it appears under its name only when it is complete.

    `state` holds the weights where they are not to be the model's own: gathered from several
    devices, or in another precision. A model that was loaded from a folder (transformers'
    `name_or_path`) keeps the config and the generation config that stand there, for the trainers
    write the tokenizer's special tokens over the model's; the data type alone is its own.
    """
    weights = dict(model.state_dict() if state is None else state)
    dtype = str(next(iter(weights.values())).dtype).removeprefix("torch.")
    base = Path(model.name_or_path) if model.name_or_path else None
    # The trainers turn the cache off; whoever loads the policy to generate wants it on.
    model.config.use_cache, trained_with = True, model.config.use_cache
    try:
        with made_aside(folder) as aside:
            if state is None:
                model.save_pretrained(aside)
            else:
                if model.config.tie_word_embeddings:  # Gathered, they no longer share their memory.
                    weights.pop("lm_head.weight", None)
                model.save_pretrained(aside, state_dict=weights)  # Empties the mapping.
            config = model_config(aside if base is None else base)
            config.pop("torch_dtype", None)  # Its name before transformers 5.
            config["dtype"] = dtype
            if "vocab_size" in config:
                config["vocab_size"] = model.config.vocab_size  # `cut_vocabulary`
            (aside / "config.json").write_text(json.dumps(config, indent=2) + "\n")
            if base is not None:
                (aside / GENERATION).unlink()
                if (base / GENERATION).is_file():
                    shutil.copyfile(base / GENERATION, aside / GENERATION)
            tokenizer.save_pretrained(aside)
            for path in aside.iterdir():
                path.chmod(0o644)  # safetensors lets its owner alone read what it writes.
                flush(path)
            flush(aside)
    finally:
        model.config.use_cache = trained_with


def link_tree(source: Path, target: Path) -> None:
    """Give a policy a second name: links to its files, copies where the disk has no links."""
    shutil.copytree(source, target, copy_function=link)


def link(source: str, target: str) -> str:
    """Give a file a second name: a link, or a copy where the disk has no links."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
    return target


def model_config(folder: Path) -> dict[str, object]:
    """Read the `config.json` of a policy."""
    return json.loads((folder / "config.json").read_text())


def newest_step(folder: Path) -> Path:
    """Find the last checkpoint among `step<n>` folders. Raises `InputError` for none."""
    steps = existing_steps(folder)
    if not steps:
        raise InputError(f"{folder}: no checkpoint in it; delete it and start again")
    return steps[-1]
