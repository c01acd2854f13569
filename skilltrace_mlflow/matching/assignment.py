"""Pairing expected with actual: maximum bipartite matching, and best alignment in order.

Both take, for each expected step, the indexes of the actual calls it accepts.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["align", "match"]

_Chain = tuple[int, int, Any]  # a step, its call, and the chain before them


def match(
    accepts: Sequence[Sequence[int]], *, first: Sequence[int] | None = None
) -> dict[int, int]:
    """A maximum matching of steps to distinct calls: step index to call index.

    `first` are steps to be served before the others: as many of them are matched as can be, the
    rest takes what is left over or can be shifted (an augmenting path never frees a matched step).
    Hopcroft–Karp, O(edges · √steps).
    """
    partner: dict[int, int] = {}
    taken: dict[int, int] = {}
    groups = [range(len(accepts))] if first is None else [first, range(len(accepts))]
    for group in groups:
        _extend(accepts, [step for step in group if step not in partner], partner, taken)
    return partner


def _extend(
    accepts: Sequence[Sequence[int]],
    free: list[int],
    partner: dict[int, int],
    taken: dict[int, int],
) -> None:
    while free:
        # Breadth first: how many steps lie on the shortest alternating way from a free one.
        level = dict.fromkeys(free, 0)
        queue = deque(free)
        reached = False
        while queue:
            step = queue.popleft()
            for call in accepts[step]:
                holder = taken.get(call)
                if holder is None:
                    reached = True
                elif holder not in level:
                    level[holder] = level[step] + 1
                    queue.append(holder)
        if not reached:
            return
        # Depth first along the levels, without recursion: sessions can have thousands of calls.
        progress = {step: iter(accepts[step]) for step in level}
        left = [r for r in free if not _augment(r, progress, level, partner, taken)]
        if len(left) == len(free):
            return
        free = left


def _augment(
    root: int,
    progress: dict[int, Iterator[int]],
    level: dict[int, int],
    partner: dict[int, int],
    taken: dict[int, int],
) -> bool:
    path: list[tuple[int, int]] = []
    step = root
    while True:
        for call in progress[step]:
            holder = taken.get(call)
            if holder is None:
                path.append((step, call))
                for at, given in path:
                    partner[at] = given
                    taken[given] = at
                return True
            if level.get(holder, -1) == level[step] + 1:
                path.append((step, call))
                step = holder
                break
        else:
            if not path:
                return False
            step, _ = path.pop()


def align(
    accepts: Sequence[Sequence[int]],
    *,
    optional: frozenset[int] = frozenset(),
    prefer: frozenset[int] = frozenset(),
) -> list[tuple[int, int]]:
    """The best alignment in order, as pairs (step, call), both increasing.

    As many steps that are not optional as possible are matched; of such alignments one with the
    most calls of `prefer`, of these one with the most optional steps. Each row of `accepts` is in
    ascending order. O(steps² · log calls); with optional steps or preferred calls O(steps · calls).
    """
    if not optional and not prefer:
        return _longest(accepts)
    # Calls that no step accepts cannot change anything; one number holds the three goals by rank.
    columns = sorted({call for row in accepts for call in row})
    place = {call: number for number, call in enumerate(columns)}
    rank = len(accepts) + 1
    preferred = [rank if call in prefer else 0 for call in columns]
    best: list[list[int]] = [[0] * (len(columns) + 1)]
    for index, row in enumerate(accepts):
        previous = best[-1]
        current = previous[:]
        gain = 1 if index in optional else rank * rank
        wanted = {place[call] for call in row}
        reached = 0
        for j, before in enumerate(previous[:-1]):
            # compared by hand: `max` costs ten times as much, and there are steps × calls of these
            value = previous[j + 1]
            if value > reached:
                reached = value
            if j in wanted:
                value = before + gain + preferred[j]
                if value > reached:
                    reached = value
            current[j + 1] = reached
        best.append(current)
    pairs: list[tuple[int, int]] = []
    i, j = len(accepts), len(columns)
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            pairs.append((i - 1, columns[j - 1]))
            i, j = i - 1, j - 1
    return pairs[::-1]


def _longest(accepts: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    # ends[n]: the earliest call with which n + 1 steps can end; chains hold how they got there.
    ends: list[int] = []
    chains: list[_Chain] = []
    for step, row in enumerate(accepts):
        for length in range(len(ends), -1, -1):
            at = bisect_right(row, ends[length - 1]) if length else 0
            if at == len(row):
                continue
            before = chains[length - 1] if length else None
            if length == len(ends):
                ends.append(row[at])
                chains.append((step, row[at], before))
            elif row[at] < ends[length]:
                ends[length] = row[at]
                chains[length] = (step, row[at], before)
    pairs: list[tuple[int, int]] = []
    chain: _Chain | None = chains[-1] if chains else None
    while chain is not None:
        pairs.append(chain[:2])
        chain = chain[2]
    return pairs[::-1]
