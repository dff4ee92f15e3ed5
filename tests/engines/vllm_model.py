"""Write a tiny model with random weights for vLLM. Usage: python vllm_model.py FOLDER."""

import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CORPUS = Path(__file__).parents[2] / "writer_cli" / "sandbox" / "corpus.txt"

END = "<end>"


def main(folder: str) -> None:
    """Write the weights, the configuration and the tokenizer."""
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train([str(CORPUS)], vocab_size=800, special_tokens=[END], show_progress=False)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, clean_up_tokenization_spaces=False
    ).save_pretrained(folder)
    torch.manual_seed(0)
    size = tokenizer.get_vocab_size()
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
    )
    LlamaForCausalLM(config).save_pretrained(folder)


if __name__ == "__main__":
    main(sys.argv[1])
