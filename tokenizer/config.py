"""What is chosen when a tokenizer is made."""

from dataclasses import dataclass, field

from tokenizer.quantizer_config import GritConfig, QuantizerConfig

__all__ = ["CATALOGUE_BATCH", "AutoencoderConfig", "FitConfig", "QuantizerConfig"]

# Items tokenized at once; texts of one length are encoded together, so more fill the groups.
CATALOGUE_BATCH = 8192


@dataclass(frozen=True)
class AutoencoderConfig:
    """The network around the residual stack.

    Attributes:
        network: a name of `tokenizer.model.networks.NETWORKS`: `mlp`, `linear` or `identity`.
        hidden: widths of the MLP encoder's hidden layers; the decoder mirrors them.
        latent: d, the width that is quantized; that of the vectors for `identity`.
        dropout: share of the hidden units dropped in training.
    """

    network: str = "mlp"
    hidden: tuple[int, ...] = (512, 256, 128)
    latent: int = 32
    dropout: float = 0.0


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast.

    Attributes:
        steps: gradient steps after the warm-up.
        warmup_steps: steps without quantization before k-means starts the codebooks.
        batch_size: vectors a step.
        learning_rate: peak of AdamW; it falls to zero along a half cosine.
        codebook_learning_rate: the same for what is in the levels; 0 stands for `learning_rate`.
        weight_decay: of AdamW, on matrices of encoder and decoder.
        held_out: share of the items that do not train: half choose the step, half only report. Of
            0, or with fewer than 20 items, the training error chooses.
        evaluate_every: steps between two measurements.
        patience: measurements without a better validation error before training stops.
        seed: of every random choice.
        separation: weight of the term that keeps near items apart
            (`tokenizer.training.separation`).
        separation_margin: the squared distance it asks for, in units of a cell's.
    """

    steps: int = 2500
    warmup_steps: int = 200
    batch_size: int = 1024
    learning_rate: float = 2e-3
    codebook_learning_rate: float = 0.0
    weight_decay: float = 0.01
    held_out: float = 0.1
    evaluate_every: int = 100
    patience: int = 10
    seed: int = 0
    separation: float = 0.1
    separation_margin: float = 2.0
    quantizer: QuantizerConfig = field(default_factory=GritConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
