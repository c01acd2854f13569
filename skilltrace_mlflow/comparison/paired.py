"""Statistics of pairs: the same test cases judged twice. Standard library only."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

__all__ = ["bootstrap_interval", "mcnemar_exact", "paired_difference_interval"]

_Z = 1.959963984540054  # the normal distribution's 97.5 % point: intervals are at 95 %
_SEED = 20240229
_DRAWS = 1_000_000
_LEAST_RESAMPLES, _MOST_RESAMPLES = 1_000, 5_000


def mcnemar_exact(lost: int, gained: int) -> float:
    """Two-sided exact p-value that `lost` and `gained` differ by chance only.

    `lost` counts pairs that passed and no longer do, `gained` the opposite; under the null each
    discordant pair falls either way with probability one half.
    """
    total = lost + gained
    if total == 0:
        return 1.0
    ways = tail = 1
    for k in range(min(lost, gained)):
        ways = ways * (total - k) // (k + 1)  # ways to choose k + 1 of all
        tail += ways
    # As whole numbers: 2 ** total does not fit a float from 1,024 discordant pairs on.
    return min(1.0, 2 * tail / (1 << total))


def paired_difference_interval(
    both: int, lost: int, gained: int, neither: int
) -> tuple[float, float]:
    """95 % interval of the change in pass rate, by Newcombe's hybrid score method for pairs.

    Chosen over the simpler Wald interval, which shrinks to nothing when no pair is discordant.
    (R. G. Newcombe, Statistics in Medicine 17, 1998, 2635-2650, method 10.)
    """
    n = both + lost + gained + neither
    if n == 0:
        raise ValueError("no pairs")
    after, before = both + gained, both + lost
    change = (after - before) / n
    low_a, high_a = _wilson(after, n)
    low_b, high_b = _wilson(before, n)
    phi = _phi(both, lost, gained, neither, n)
    p_after, p_before = after / n, before / n
    down = _joined(p_after - low_a, high_b - p_before, phi)
    up = _joined(high_a - p_after, p_before - low_b, phi)
    return max(-1.0, change - down), min(1.0, change + up)


def bootstrap_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """95 % percentile interval of the mean difference; None for fewer than two pairs.

    Pairs are drawn with a fixed seed, so that the same two evaluations always give the same
    interval. Fewer resamples for many pairs keep it below a second.
    """
    n = len(differences)
    if n < 2:
        return None
    values = list(differences)
    if min(values) == max(values):
        return values[0], values[0]
    resamples = max(_LEAST_RESAMPLES, min(_MOST_RESAMPLES, _DRAWS // n))
    generator = random.Random(_SEED)  # noqa: S311 - statistics, not secrets
    means = sorted(math.fsum(generator.choices(values, k=n)) / n for _ in range(resamples))
    cut = round(0.025 * (resamples - 1))
    return means[cut], means[resamples - 1 - cut]


def _wilson(successes: int, n: int) -> tuple[float, float]:
    z2 = _Z * _Z
    middle = (2 * successes + z2) / (2 * (n + z2))
    half = _Z * math.sqrt(z2 + 4 * successes * (1 - successes / n)) / (2 * (n + z2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _phi(both: int, lost: int, gained: int, neither: int, n: int) -> float:
    margins = (both + lost) * (gained + neither) * (both + gained) * (lost + neither)
    if margins == 0:
        return 0.0
    product = float(both * neither - lost * gained)
    if product > 0:  # the method's continuity correction, on this side only
        product = max(product - n / 2, 0.0)
    return product / math.sqrt(margins)


def _joined(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first * first - 2 * phi * first * second + second * second))
