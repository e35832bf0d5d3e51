"""The configuration of a tokenizer: its network and its training."""

from dataclasses import dataclass, field

from tokenizer.quantizer_config import GritConfig, QuantizerConfig

__all__ = ["CATALOGUE_BATCH", "AutoencoderConfig", "FitConfig", "QuantizerConfig"]

# Items tokenized at once. Texts of one length are encoded together, and more items fill the groups
# better.
CATALOGUE_BATCH = 8192


@dataclass(frozen=True)
class AutoencoderConfig:
    """The network around the residual stack.

    Attributes:
        network: a name of `tokenizer.model.networks.NETWORKS`: `mlp`, `linear` or `identity`.
        hidden: widths of the MLP encoder's hidden layers; the decoder mirrors them.
        latent: d, the width of the latents; `identity` ignores it, and d = D.
        dropout: share of the hidden units dropped in training.
    """

    network: str = "identity"
    hidden: tuple[int, ...] = (1024,)
    latent: int = 128
    dropout: float = 0.1


@dataclass(frozen=True)
class FitConfig:
    """How a tokenizer is trained.

    Attributes:
        steps: gradient steps after the warm-up.
        warmup_steps: steps without quantization before k-means starts the codebooks.
        batch_size: vectors a step.
        learning_rate: AdamW's peak rate; the rate falls to zero along a half cosine.
        codebook_learning_rate: peak rate of the levels' parameters; 0 means `learning_rate`.
        weight_decay: AdamW's, on the weight matrices of encoder and decoder.
        held_out: share of the items that do not train. Half of them choose the best step, half only
            report. At 0, or with fewer than 20 items, the training error chooses the step.
        evaluate_every: steps between two measurements.
        patience: measurements without a better validation error before training stops.
        seed: seed of every random choice.
        mixing: each training vector is moved a random share of the way to its nearest other item,
            from 0 to `mixing`; 0 leaves it.
        separation: weight of the term that keeps near items apart
            (`tokenizer.training.separation`).
        separation_margin: the squared distance that this term asks for between near items, in units
            of the mean squared distance between latents and their codewords.
    """

    steps: int = 600
    warmup_steps: int = 200
    batch_size: int = 1024
    learning_rate: float = 2e-3
    codebook_learning_rate: float = 0.005
    weight_decay: float = 0.01
    held_out: float = 0.1
    evaluate_every: int = 100
    patience: int = 10
    seed: int = 0
    mixing: float = 0.0
    separation: float = 0.1
    separation_margin: float = 2.0
    quantizer: QuantizerConfig = field(default_factory=GritConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)

    @property
    def total_steps(self) -> int:
        """Largest number of steps, with the warm-up's where there is a network to warm up."""
        return self.steps + (self.warmup_steps if self.autoencoder.network != "identity" else 0)
