"""What can be questioned: one protocol, and one file per kind of suspect.

``protocol``         what a suspect promises; answers and misses
``scoring``          from scores to answers and probabilities
``release``          what a release says of itself
``torch``            weights in safetensors
``onnx``             ONNX files                                  } in a child
``skops``            scikit-learn classifiers                    } process with limits
``contained``        what the two have in common
``child``            starting such a process and speaking with it
``frames``           what both sides have agreed on
``serving``          what runs in the child for every kind of file
``onnx_child``       ... for ONNX files                         ``onnx_scan``    what they may not hold
``skops_child``      ... for scikit-learn classifiers           ``skops_scan``   what they may hold
``transformers``     Hugging Face image-classification folders
``exported``         programs of torch.export                    } code: only
``python_callable``  any Python callable                         } if trusted
``deadline``         for what runs in this process
``http``             services, asked one question at a time
``recorded``         answers that a person wrote down
``clean_check``      how well clean inputs are answered
``opening``          names on the command line to suspects
"""

from earmark.suspects.protocol import Answer, Miss, ScoringSuspect, Suspect, top_answers

__all__ = ["Answer", "Miss", "ScoringSuspect", "Suspect", "top_answers"]
