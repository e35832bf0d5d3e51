"""The configuration of one image tokenizer: network, quantizer, training and prior."""

from dataclasses import dataclass, field

from tokenizer.quantizer_config import GritConfig, QuantizerConfig

__all__ = ["COMPARED", "ImageConfig", "ImageNetworkConfig", "PriorConfig"]

# The variants of GRIT-VQ's Table 2.
COMPARED = (
    "diveq", "ema", "fsq", "grit", "gumbel", "hypervq", "lfq", "nsvq", "simvq", "ste",
)  # fmt: skip


@dataclass(frozen=True)
class ImageNetworkConfig:
    """The convolutional autoencoder around the quantizer.

    Attributes:
        grid: rows and columns of the latent grid; image side / grid is a power of two from 2 on.
        channels: channels of the finest feature maps; each halving of the side doubles them.
        blocks: residual blocks at each side.
        latent: d, the width of a grid position's latent.
    """

    grid: int = 8
    channels: int = 32
    blocks: int = 1
    latent: int = 32


@dataclass(frozen=True)
class PriorConfig:
    """The GPT over a grid's codes, its training and its sampling.

    Attributes:
        prior_steps: gradient steps; 0 trains no prior, and then there are no samples.
        samples: images drawn for the Fréchet distance.
        temperature: divides the logits when codes are drawn.
        sample_top_k: codes that a draw may choose from, the likeliest first; 0 for all.
        sample_top_p: a draw chooses from the likeliest codes that together have this probability.
    """

    prior_steps: int = 400
    prior_batch: int = 64
    prior_layers: int = 4
    prior_heads: int = 4
    prior_width: int = 128
    prior_learning_rate: float = 1e-3
    samples: int = 1000
    temperature: float = 1.0
    sample_top_k: int = 0
    sample_top_p: float = 1.0


def _one_level() -> QuantizerConfig:
    return GritConfig(levels=1, codebook_size=1024, search_beam=1, crowded_choices=1)


@dataclass(frozen=True)
class ImageConfig:
    """How an image tokenizer is trained.

    Attributes:
        steps: gradient steps after the warm-up.
        warmup_steps: steps without quantization before the codebooks start from latents.
        batch_size: images a step.
        learning_rate: AdamW's peak rate; it falls to zero along a half cosine.
        codebook_learning_rate: peak rate of the quantizer's parameters; 0 means `learning_rate`.
        weight_decay: AdamW's, on the network's matrices.
        perceptual: weight of the perceptual term of the loss.
        average: decay of the moving average of all parameters, which is what is measured.
        flip: whether half of the training images are mirrored, left to right.
        measurements: measurements on validation images during training.
        seed: seed of every random choice but the split, which is the same for all.
    """

    steps: int = 1000
    warmup_steps: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    codebook_learning_rate: float = 0.0
    weight_decay: float = 1e-4
    perceptual: float = 0.2
    average: float = 0.99
    flip: bool = True
    measurements: int = 10
    seed: int = 0
    quantizer: QuantizerConfig = field(default_factory=_one_level)
    network: ImageNetworkConfig = field(default_factory=ImageNetworkConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
