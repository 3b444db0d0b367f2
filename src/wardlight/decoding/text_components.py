"""Connected areas of a mask by numpy alone: their boxes and the mean of a map within each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def components(
    mask: NDArray[np.bool_], weights: NDArray[np.float32]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Boxes (left, top, right, bottom; right and bottom exclusive), and the mean of `weights` in each area.

    Areas touch by sides or corners. Runs of each row are joined with those they meet in the row above; the smallest
    number travels along these pairs until nothing changes.
    """
    rows, columns = mask.shape
    padded = np.zeros((rows, columns + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded.ravel())
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    if not len(starts):
        return np.empty((0, 4), np.intp), np.empty(0)
    width = columns + 2
    row = starts // width
    left, right = starts - row * width, ends - row * width
    labels = _joined(starts, ends, width)
    totals = np.concatenate(([0.0], np.cumsum(weights, dtype=np.float64)))
    sums = totals[row * columns + right] - totals[row * columns + left]
    count = int(labels.max()) + 1
    boxes = np.empty((count, 4), np.intp)
    boxes[:, :2], boxes[:, 2:] = max(rows, columns), 0
    np.minimum.at(boxes[:, 0], labels, left)
    np.minimum.at(boxes[:, 1], labels, row)
    np.maximum.at(boxes[:, 2], labels, right)
    np.maximum.at(boxes[:, 3], labels, row + 1)
    return boxes, np.bincount(labels, sums, count) / np.bincount(labels, right - left, count)


def _joined(starts: NDArray[Any], ends: NDArray[Any], width: int) -> NDArray[np.intp]:
    """A number for each run, the same for runs that hang together, without gaps from 0."""
    # Runs of the row above that meet run i: those that end at or after its start and start at or before its end.
    first = np.searchsorted(ends, starts - width, "left")
    last = np.searchsorted(starts, ends - width, "right")
    counts = np.maximum(last - first, 0)
    lower = np.repeat(np.arange(len(starts)), counts)
    upper = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    labels = np.arange(len(starts))
    while True:
        least = np.minimum(labels[lower], labels[upper])
        fresh = labels.copy()
        np.minimum.at(fresh, lower, least)
        np.minimum.at(fresh, upper, least)
        fresh = fresh[fresh]
        if np.array_equal(fresh, labels):
            return np.unique(labels, return_inverse=True)[1]
        labels = fresh
