"""Preparing a process for long computing."""

# From <malloc.h>. The C library accepts no higher threshold for mappings than half of a heap of its own.
_TRIM_THRESHOLD, _NEVER_TRIM = -1, (1 << 31) - 1
_MMAP_THRESHOLD, _MOST_BYTES = -3, 32 << 20


def keep_freed_memory() -> None:
    """Let the C library keep what PyTorch frees, where that can be said.

    Otherwise every training step asks the system for hundreds of megabytes anew and page after page is
    touched for the first time: an eighth of the time of an epoch on a processor (benchmarks/mixing_cost.py).
    """
    import ctypes  # here, because every command imports this module

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # GNU's; others have no such setting
        mallopt(_TRIM_THRESHOLD, _NEVER_TRIM)
        mallopt(_MMAP_THRESHOLD, _MOST_BYTES)
