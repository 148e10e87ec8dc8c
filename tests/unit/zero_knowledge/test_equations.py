import numpy as np
import pytest

from earmark.fields import PRIME
from earmark.zero_knowledge.equations import _weighed


@pytest.mark.parametrize("value", [-1, -3000, PRIME // 2, 128])
def test_biases_of_the_widest_layer_add_up_without_overflow(value):
    """Reduced, a negative bias is nearly p: a quarter of a million of them times elements pass 64 bits by far."""
    count = 1 << 18
    bias = np.full(count, value, np.int64)
    drawn = np.full((count, 5), PRIME - 1, np.uint32)
    assert _weighed(bias, drawn).tolist() == [count * value * (PRIME - 1) % PRIME] * 5
