"""Hugging Face's T5 with the shape of a TIGER, and a TIGER with the T5's weights."""

import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from recsys.generation.encoder_decoder import Tiger, TigerConfig
from recsys.generation.valid_ids.vocabulary import PADDING

__all__ = ["t5_of", "tiger_of"]


def t5_of(
    config: TigerConfig, vocabulary: int, attention: str = "eager", dropout: float = 0.0
) -> T5ForConditionalGeneration:
    """Return a T5 with random weights, in eval mode."""
    torch.manual_seed(0)
    shape = T5Config(  # type: ignore[call-arg]  # its stub lacks some
        vocab_size=vocabulary, d_model=config.width, num_heads=config.heads,
        d_kv=config.head_width, d_ff=config.hidden, num_layers=config.layers,
        num_decoder_layers=config.layers, decoder_start_token_id=PADDING,
        pad_token_id=PADDING, eos_token_id=1, dropout_rate=dropout,
        attn_implementation=attention,
    )  # fmt: skip
    model: T5ForConditionalGeneration = T5ForConditionalGeneration(shape)
    model.eval()
    return model


def tiger_of(oracle: T5ForConditionalGeneration, config: TigerConfig) -> Tiger:
    """Return our model with the oracle's weights."""
    theirs = oracle.state_dict()
    ours: dict[str, Tensor] = {"embedding.weight": theirs["shared.weight"]}
    for side in ("encoder", "decoder"):
        attention = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        ours[f"{side}_bias.table.weight"] = theirs[f"{side}.{attention}"]
        ours[f"{side}_norm.weight"] = theirs[f"{side}.final_layer_norm.weight"]
        last = 1 if side == "encoder" else 2
        for layer in range(config.layers):
            block = f"{side}.block.{layer}.layer"
            blocks = {"attention": "0.SelfAttention"}
            norms = {"attention_norm": 0, "forward_norm": last}
            if side == "decoder":
                blocks["cross_attention"] = "1.EncDecAttention"
                norms["cross_norm"] = 1
            for mine, other in blocks.items():
                q, k, v, o = (theirs[f"{block}.{other}.{name}.weight"] for name in "qkvo")
                ours[f"{side}.{layer}.{mine}.into.weight"] = torch.cat([q, k, v])
                ours[f"{side}.{layer}.{mine}.output.weight"] = o
            for mine, number in norms.items():
                ours[f"{side}.{layer}.{mine}.weight"] = theirs[
                    f"{block}.{number}.layer_norm.weight"
                ]
            for mine, short in (("inner", "wi"), ("outer", "wo")):
                ours[f"{side}.{layer}.{mine}.weight"] = theirs[
                    f"{block}.{last}.DenseReluDense.{short}.weight"
                ]
    model = Tiger(config, len(theirs["shared.weight"])).eval()
    model.load_state_dict(ours)
    return model
