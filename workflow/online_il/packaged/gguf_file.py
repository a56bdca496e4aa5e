"""Writes a model that lies in a GGUF file out as an ordinary folder in transformers' format.

transformers reads the weights; the tokenizer is made here of what the file says. For transformers
5.17 leaves out SmolLM's splitting of numbers into digits and takes the beginning of a message,
<|im_start|>, for its end.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from online_il.errors import InputError

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedTokenizerFast

ARCHITECTURE = "llama"
TOKENIZER = ("gpt2", "smollm")
"""Byte-level BPE whose pre-tokenizer splits numbers into digits."""
MAGIC = b"GGUF"
HEAD_BYTES = 4096
SPECIAL = 3
"""The type of a token that stands for no text (GGUF's `CONTROL`)."""
DTYPE = "bfloat16"
"""The precision of the model's makers; 4 bits a weight were finer in none."""


def write_out(path: Path, folder: Path) -> None:
    """Write the model in the file `path` to a folder: weights, tokenizer, chat template, ends.

    Raises `InputError` for a file of another architecture or tokenizer, or without a template.
    """
    reader = _reader(path)
    tokenizer = _tokenizer(reader, path)
    from transformers import AutoModelForCausalLM, GenerationConfig

    read = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=DTYPE,
        use_safetensors=True,
        trust_remote_code=False,
    )
    config = read.config
    del config.quantization_config, config.unk_token_id  # The weights are whole again.
    config.rms_norm_eps = float(f"{config.rms_norm_eps:.6g}")  # The file has single precision.
    model = AutoModelForCausalLM.from_config(config, dtype=read.dtype)
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _reader(path: Path) -> "GGUFReader":
    """Open a GGUF file of the known architecture."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except (ValueError, IndexError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{path.name}: no whole GGUF file ({reason}); correct `file`") from None
    known = {
        "general.architecture": ARCHITECTURE,
        "tokenizer.ggml.model": TOKENIZER[0],
        "tokenizer.ggml.pre": TOKENIZER[1],
    }
    for key, wanted in known.items():
        _check(path.name, key, _field(reader, key), wanted)
    return reader


def check_head(head: bytes, name: str) -> None:
    """Check the architecture that the first bytes of a GGUF file name; opening it takes seconds.

    A file begins with GGUF, its version, two counts and, by custom, the field of this name: lengths
    of 8 bytes before key and value, and the value's type between them. Raises `InputError`.
    """
    if head[:4] != MAGIC:
        raise InputError(
            f"{name}: no whole GGUF file (it begins with {head[:4]!r}); correct `file`"
        )
    key_length = int.from_bytes(head[24:32], "little")
    key, rest = head[32 : 32 + key_length], head[32 + key_length :]
    if key == b"general.architecture":
        value = rest[12 : 12 + int.from_bytes(rest[4:12], "little")]
        _check(name, key.decode(), value.decode(errors="replace"), ARCHITECTURE)


def _check(name: str, key: str, found: Any, wanted: str) -> None:
    if found != wanted:
        raise InputError(
            f"{name}: {key}: {found!r}, and {wanted!r} alone is read here; name a package of a "
            "SmolLM2 model, or write it out with transformers' save_pretrained and set kind to "
            "model and `folder` to the result"
        )


def _field(reader: "GGUFReader", key: str) -> Any:
    """Read a field of the file; None where it has none of this name."""
    field = reader.fields.get(key)
    return None if field is None else field.contents()


def _tokenizer(reader: "GGUFReader", path: Path) -> "PreTrainedTokenizerFast":
    """Make the tokenizer that the file describes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    wanted = [f"tokenizer.ggml.{key}" for key in ("tokens", "token_type", "merges")]
    ends = [f"tokenizer.ggml.{key}_token_id" for key in ("bos", "eos", "padding", "unknown")]
    wanted += [*ends, "tokenizer.chat_template", f"{ARCHITECTURE}.context_length"]
    found = {key: _field(reader, key) for key in wanted}
    for key, value in found.items():
        if value is None:
            raise InputError(
                f"{path.name}: {key}: there is none, without which no prompt can be written; name "
                "another package"
            )
    tokens, types, merges = (found[key] for key in wanted[:3])
    known = {token: index for index, token in enumerate(tokens)}
    words = Tokenizer(models.BPE(known, [tuple(merge.split(" ")) for merge in merges]))
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    words.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == SPECIAL]
    words.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    bos, eos, pad, unknown = (tokens[found[key]] for key in ends)
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        bos_token=bos,
        eos_token=eos,
        pad_token=pad,
        unk_token=unknown,
        model_max_length=found[f"{ARCHITECTURE}.context_length"],
        clean_up_tokenization_spaces=False,
        chat_template=found["tokenizer.chat_template"],
    )
