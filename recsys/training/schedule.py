"""The learning rate over the steps of a training."""

from tokenizer.training.optimizer import half_cosine

__all__ = ["SCHEDULES", "learning_rate"]

SCHEDULES = ("constant", "cosine", "inverse_root")


def learning_rate(schedule: str, peak: float, warmup: int, step: int, total: int) -> float:
    """Return the learning rate of a step.

    Args:
        schedule: after the warm-up, `constant` stays at the peak, `cosine` falls to zero at the
            last step, and `inverse_root` is peak · √(warmup / step).
        peak: the highest rate.
        warmup: steps in which the rate rises linearly from zero.
        step: from 1.
        total: the most steps there can be.
    """
    if step < warmup:
        return peak * step / warmup
    if schedule == "constant":
        return peak
    if schedule == "inverse_root":
        root: float = (max(warmup, 1) / step) ** 0.5
        return peak * root
    return peak * half_cosine((step - warmup) / max(1, total - warmup))
