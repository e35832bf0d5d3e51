"""GRIT-VQ's raw codebook C in training (arXiv 2602.01140, §4.3): frozen, or learnt jointly."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tokenizer.quantizer_config import GritConfig

__all__ = ["PROTOCOLS", "RawCodebook"]

# Use is averaged over longer times where a batch has fewer latents than K / HITS: else a codeword
# in even use would often have none in the time averaged over.
HITS = 4
COPY_EVERY = 4  # steps between two updates of C from the moving averages


class RawCodebook(nn.Module):
    """C (K, d) in its gauge, with protocol A, `frozen`: C does not change after the start.

    The gauge fixes the scale of C. With `row_norm` each row has length 1. Otherwise the rows' root
    mean square is 1 at the start, or the codewords' own if the level has no gain.

    Attributes:
        rows: C.
    """

    rows: Tensor

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__()
        self.config = config
        self._hold(torch.zeros(config.codebook_size, dimension))

    def _hold(self, rows: Tensor) -> None:
        self.register_buffer("rows", rows)

    @torch.no_grad()
    def set_(self, codewords: Tensor) -> float:
        """Set C to codewords (K, d), brought into the gauge; return the codewords' scale."""
        scale = codewords.norm(dim=1).square().mean().sqrt()
        self.rows.copy_(codewords / scale.clamp(min=torch.finfo(codewords.dtype).tiny))
        self.normalise_()
        return float(scale)

    @torch.no_grad()
    def normalise_(self) -> None:
        """Scale rows to length 1 if the gauge demands it; a row of zeros stays."""
        if self.config.row_norm:
            self.rows.div_(self.rows.norm(dim=1, keepdim=True).clamp(min=1e-6))

    def auxiliary(self, z: Tensor, codes: Tensor, transformed: Callable[[], Tensor]) -> Tensor:
        """Record a training batch z (n, d) and its codes (n,), and return a loss.

        Args:
            transformed: computes C̃ (K, d), with gradients.

        Returns:
            The protocol's loss, in units of squared distance.
        """
        return z.new_zeros(())

    def after_step(
        self, transformed: Callable[[], Tensor], gain: Tensor, guarded: bool = True
    ) -> int:
        """Update C after an optimizer step; return how many dead codewords were reset.

        Args:
            transformed: computes the current C̃ (K, d).
            gain: the scale of C̃.
            guarded: whether to look for dead codewords.
        """
        return 0


class JointCodebook(RawCodebook):
    """Protocol B by gradient: C is a parameter, and a weak loss pulls usage towards uniform.

    A codeword whose running use falls below `reset_below` of uniform is reset to a latent of the
    last batch. At each measurement of the training, a codeword that no training item uses is put on
    an item that is coded badly (`tokenizer.model.residual.ResidualQuantizer.refill`).

    Attributes:
        use: (K,), the running use of each codeword; 1 is uniform use.
        batch: the last batch; not saved.
    """

    use: Tensor
    batch: Tensor

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("use", torch.ones(config.codebook_size))
        self.register_buffer("batch", torch.zeros(0, dimension), persistent=False)

    def _hold(self, rows: Tensor) -> None:
        self.rows = nn.Parameter(rows)

    def set_(self, codewords: Tensor) -> float:
        self.use.fill_(1.0)
        return super().set_(codewords)

    def auxiliary(self, z: Tensor, codes: Tensor, transformed: Callable[[], Tensor]) -> Tensor:
        self._follow(z.detach(), codes)
        if not self.config.usage_weight:
            return z.new_zeros(())
        codewords = transformed()
        distances = z.square().sum(1, keepdim=True) + codewords.square().sum(1)
        distances = distances - 2 * z @ codewords.T
        unit = distances.detach().min(1).values.mean().clamp(min=1e-12)
        usage = (-distances / unit).softmax(1).mean(0)
        divergence = math.log(len(usage)) + (usage * usage.clamp(min=1e-12).log()).sum()
        return self.config.usage_weight * unit * divergence

    def after_step(
        self, transformed: Callable[[], Tensor], gain: Tensor, guarded: bool = True
    ) -> int:
        moved = self._reset(transformed, gain) if guarded else 0
        self.normalise_()
        return moved

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        self.batch = z
        counts = torch.bincount(codes, minlength=len(self.use))
        share = counts * (len(self.use) / max(len(codes), 1))
        forgotten = (1 - self.config.decay) * min(1.0, HITS * len(codes) / len(self.use))
        self.use.mul_(1 - forgotten).add_(share, alpha=forgotten)

    @torch.no_grad()
    def _reset(self, transformed: Callable[[], Tensor], gain: Tensor) -> int:
        dead = (self.use < self.config.reset_below).nonzero().squeeze(1)
        if not len(self.batch) or not len(dead):
            return 0
        drawn = torch.randint(len(self.batch), (len(dead),)).to(self.rows.device)
        self.put(dead, self.batch[drawn], transformed(), gain)
        return len(dead)

    def put(self, which: Tensor, targets: Tensor, codewords: Tensor, gain: Tensor) -> None:
        """Reset the codewords `which` (m,) of C̃ = `codewords` (K, d) to `targets` (m, d)."""
        self._draw(which, targets, codewords, gain)
        self.use[which] = 1.0

    @torch.no_grad()
    def _draw(self, which: Tensor, targets: Tensor, codewords: Tensor, gain: Tensor) -> None:
        """Move rows of C so that those of C̃ approach `targets`; exact if T is the identity.

        Repeated calls converge to T(C) = targets while T stays near the identity.
        """
        self.rows[which] += (targets - codewords[which]) / gain


class EmaJointCodebook(JointCodebook):
    """Protocol B by moving averages: every few steps C̃ moves to the means of its latents.

    A reset also sets the codeword's statistics to the new latent.

    Attributes:
        counts: (K,), the running use of each codeword; 0 at the start, 1 at even use.
        sums: (K, d), running sums of the assigned latents, in the same unit.
    """

    counts: Tensor
    sums: Tensor
    steps: Tensor

    def __init__(self, config: GritConfig, dimension: int) -> None:
        super().__init__(config, dimension)
        self.register_buffer("counts", torch.zeros(config.codebook_size))
        self.register_buffer("sums", torch.zeros(config.codebook_size, dimension))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long), persistent=False)

    def _hold(self, rows: Tensor) -> None:
        self.register_buffer("rows", rows)

    def set_(self, codewords: Tensor) -> float:
        self.counts.zero_()
        self.sums.zero_()
        return super().set_(codewords)

    def after_step(
        self, transformed: Callable[[], Tensor], gain: Tensor, guarded: bool = True
    ) -> int:
        moved = self._reset(transformed, gain) if guarded else 0
        self.steps += 1
        if int(self.steps) % COPY_EVERY == 0:
            seen = (self.counts > 1e-3).nonzero().squeeze(1)
            means = self.sums[seen] / self.counts[seen].unsqueeze(1)
            self._draw(seen, means, transformed(), gain)
        self.normalise_()
        return moved

    @torch.no_grad()
    def _follow(self, z: Tensor, codes: Tensor) -> None:
        super()._follow(z, codes)
        decay, even = self.config.decay, max(len(z), 1) / len(self.counts)
        counts = torch.bincount(codes, minlength=len(self.counts))
        sums = torch.zeros_like(self.sums).index_add_(0, codes, z)
        self.counts.mul_(decay).add_(counts, alpha=(1 - decay) / even)
        self.sums.mul_(decay).add_(sums, alpha=(1 - decay) / even)

    def put(self, which: Tensor, targets: Tensor, codewords: Tensor, gain: Tensor) -> None:
        super().put(which, targets, codewords, gain)
        self.sums[which] = targets
        self.counts[which] = 1.0


PROTOCOLS: dict[str, type[RawCodebook]] = {
    "frozen": RawCodebook,
    "joint": JointCodebook,
    "joint_ema": EmaJointCodebook,
}
