"""Garbage is collected on Tk's thread alone.

What belongs to Tk calls it when it is freed; Python frees cycles on whichever thread happens to
allocate, and that one would then wait for Tk's, which may be waiting for it.
"""

import gc


def collect_here_alone() -> None:
    """Collect no more by itself: from now on, whoever calls ``collect_some`` does."""
    gc.disable()


def collect_as_ever() -> None:
    """Collect by itself again, once no other thread is left."""
    gc.enable()


def collect_some() -> None:
    """Collect the oldest generation whose time has come, by Python's own thresholds."""
    counts, thresholds = gc.get_count(), gc.get_threshold()
    for generation in (2, 1, 0):
        if counts[generation] > thresholds[generation] > 0:
            gc.collect(generation)
            return
