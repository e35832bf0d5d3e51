"""A model of texts and images with random weights, which tests make instead of a download."""

from pathlib import Path

import torch
from transformers import (  # type: ignore[attr-defined]  # transformers makes one when asked
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizerFast,
)

WORDS = ["<|startoftext|>", "<|endoftext|>", "red</w>", "cup</w>"]


def small_clip(folder: Path) -> str:
    """Write the model; return its folder."""
    tower = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    texts = {"vocab_size": 4, "max_position_embeddings": 16, "bos_token_id": 0, "eos_token_id": 1}
    config = CLIPConfig(
        text_config=tower | texts,
        vision_config=tower | {"image_size": 32, "patch_size": 8},
        projection_dim=12,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    pictures = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    words = CLIPTokenizerFast(vocab={word: at for at, word in enumerate(WORDS)}, merges=[])
    CLIPProcessor(pictures, words).save_pretrained(folder)
    return str(folder)
