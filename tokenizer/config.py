"""What is chosen when a tokenizer is made."""

from dataclasses import dataclass, field

__all__ = ["CATALOGUE_BATCH", "AutoencoderConfig", "FitConfig", "QuantizerConfig"]

# Items tokenized at once; texts of one length are encoded together, so more fill the groups.
CATALOGUE_BATCH = 8192


@dataclass(frozen=True)
class QuantizerConfig:
    """One residual stack of quantizers; what only some variants read names them in brackets.

    Attributes:
        name: the variant, a name of `tokenizer.quantizers.QUANTIZERS`.
        levels: L, the codes of an item.
        codebook_size: K, the codewords of a level; 2 to 65,536, since codes are stored as uint16.
        search_beam: paths kept through the levels when an item is coded; 1 is the greedy search,
            level by level, and the fastest.
        start: `kmeans` of warm latents, or `random` Gaussian codewords of the latents' length.
        radius: the radius family of the surrogate, a name of
            `tokenizer.quantizers.grit.radius.RADII` (grit).
        psi_max: upper bound of the radius slope ψ′; 1 is non-expansive, below 2 never flips a sign
            (grit).
        transform: a name of `tokenizer.quantizers.grit.transform.TRANSFORMS` (grit).
        rank: r of the linear transform's U Vᵀ, and the features of attention_low_rank (grit).
        top_k: codewords that a row of attention_top_k looks at (grit).
        spectral_clip: upper bound of σ_max(W); a guard, since training on Beauty reaches 1.5
            (grit).
        feed: the decoder sees the codeword (`hard`) or z̃ (`surrogate`) in training (grit).
        protocol: the raw codebook stays (`frozen`) or learns (`joint`, `joint_ema`), a name of
            `tokenizer.quantizers.grit.codebook.PROTOCOLS` (grit).
        usage_weight: of the KL of usage to uniform under `joint` (grit).
        sum_weight: of ‖sg z − Σ q‖², the gap that all levels leave together, where codewords
            learn by gradient.
        reset_below: share of uniform use below which a codeword counts as dead and is put on a
            latent anew; 0 never resets (grit with a joint protocol).
        row_norm: normalise the rows of the raw codebook to length 1, instead of only their mean
            (grit).
        codeword_norm: normalise the transformed rows too, so that a level's codewords have one
            length, its gain (grit).
        gain: a learnt scale a level, started from its codewords'; without, C holds it (grit).
        refresh_every: steps after which the transformed codebook that is searched in training is
            made anew (grit).
        commitment: weight β of ‖z − sg q‖². The power radius needs it: its slope below 1 leaves a
            part of the straight-through gradient along the gap, and without it the latents ran
            away.
        codebook_weight: weight of ‖sg z − q‖², where the codebook learns by it.
        decay: of moving averages (ema, joint_ema).
        noise_variance: σ² (diveq, sf_diveq).
        wasserstein: weight γ of the distance between distributions (wasserstein).
        fsq_levels: values of each channel, whose product is the codebook size; chosen for it where
            empty (fsq).
        entropy_weight: of a latent's entropy over codes less that of the batch (lfq).
    """

    name: str = "grit"
    levels: int = 4
    codebook_size: int = 256
    search_beam: int = 1
    start: str = "kmeans"
    radius: str = "power"
    psi_max: float = 1.0
    transform: str = "linear"
    rank: int = 16
    top_k: int = 8
    spectral_clip: float = 4.0
    feed: str = "hard"
    protocol: str = "joint"
    usage_weight: float = 0.0
    sum_weight: float = 1.0
    reset_below: float = 0.05
    row_norm: bool = False
    codeword_norm: bool = False
    gain: bool = True
    refresh_every: int = 1
    commitment: float = 0.25
    codebook_weight: float = 1.0
    decay: float = 0.99
    noise_variance: float = 1e-3
    wasserstein: float = 0.5
    fsq_levels: tuple[int, ...] = ()
    entropy_weight: float = 1.0


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
    weight_decay: float = 0.01
    held_out: float = 0.1
    evaluate_every: int = 100
    patience: int = 10
    seed: int = 0
    separation: float = 0.1
    separation_margin: float = 2.0
    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    autoencoder: AutoencoderConfig = field(default_factory=AutoencoderConfig)
