"""Write a tiny model with random weights for llama.cpp. Usage: python THIS FILE.gguf."""

import re
import sys
from pathlib import Path

import gguf
import numpy as np

CORPUS = Path(__file__).parents[2] / "writer_cli" / "sandbox" / "corpus.txt"

END = "<end>"
MOST_WORDS = 400
CONTEXT, WIDTH, INNER, LAYERS, HEADS = 2048, 64, 128, 2, 2


def byte_letters() -> list[str]:
    """Return the letter that stands for each byte in vocabularies like that of GPT-2."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256)]


def vocabulary() -> tuple[list[str], list[str]]:
    """Return the tokens and the merges: every byte, and words of a text letter by letter.

    The words are few, so that a text has many tokens that are a part of a character.
    """
    letters = byte_letters()
    tokens, merges = [END, *letters], []
    known = set(tokens)
    words = re.findall(r" [a-z]{2,5}\b", CORPUS.read_text(encoding="utf-8"))
    for word in dict.fromkeys(words[:MOST_WORDS]):
        spelled = [letters[byte] for byte in word.encode()]
        for length in range(2, len(spelled) + 1):
            token = "".join(spelled[:length])
            if token not in known:
                known.add(token)
                tokens.append(token)
                merges.append(f"{token[:-1]} {token[-1]}")
    return tokens, merges


def main(path: str) -> None:
    """Write the tokenizer and the weights."""
    tokens, merges = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_merges(merges)
    kinds = [gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1)
    writer.add_token_types(kinds)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(f"{name}.weight", random.normal(0, 0.3, shape).astype(np.float32))

    add("token_embd", len(tokens), WIDTH)
    add("output", len(tokens), WIDTH)
    add("output_norm", WIDTH)
    for layer in range(LAYERS):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{norm}", WIDTH)
        for square in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{square}", WIDTH, WIDTH)
        for up in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{up}", INNER, WIDTH)
        add(f"blk.{layer}.ffn_down", WIDTH, INNER)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main(sys.argv[1])
