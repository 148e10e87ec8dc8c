"""Mark: put a backdoor into a classifier while it trains. Takes a Backdoor, never a key.

``mixing``   triggers in every batch of any PyTorch loop, in two lines
``recipes``  from scratch and pre-trained, for those who have no loop
``hugging_face``  triggers in a Trainer, ``lightning``  in a Lightning training,
``keras``  in a Keras dataset,
``scikit_learn``  in whatever has ``fit`` and ``predict``: one line each
"""

from earmark.marking.mixing import MarkedLoader, Mixer, triggers_per_batch

__all__ = ["MarkedLoader", "Mixer", "triggers_per_batch"]
