"""What can be questioned: one protocol, and one file per kind of suspect.

``protocol``         what a suspect promises; answers and misses
``scoring``          from scores to answers and probabilities
``release``          what a release says of itself
``torch``            weights in safetensors
``onnx``             ONNX files                                  }
``skops``            scikit-learn classifiers                    }
``xgboost``          classifiers of XGBoost                      } in a child
``lightgbm``         classifiers of LightGBM                     } process with limits
``keras``            models of Keras 3                           }
``contained``        what they have in common
``child``            starting such a process and speaking with it
``frames``           what both sides have agreed on
``serving``          what runs in the child for every kind of file
``onnx_child``       ... for ONNX files                         ``onnx_scan``    what they may not hold
``skops_child``      ... for scikit-learn classifiers           ``skops_scan``   what they may hold
``xgboost_child``    ... for classifiers of XGBoost             ``xgboost_scan`` what is made of them
``lightgbm_child``   ... for classifiers of LightGBM            ``lightgbm_scan`` what is made of them
``keras_child``      ... for models of Keras 3                  ``keras_scan``   what they may hold
``boosted_trees``    links of trees, and what their sums mean
``archives``         zip archives, before they are unpacked
``ubjson``           the binary JSON of XGBoost
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
