"""What can be questioned: one protocol, and one file per kind of suspect.

``protocol``      what a suspect promises; answers and misses
``torch``         weights in safetensors
``onnx``          ONNX files, in a child process with limits
``onnx_child``    what runs in that process
``onnx_scan``     what an ONNX file may not hold
``child``         starting such a process and speaking with it
``transformers``  Hugging Face image-classification folders
``recorded``      answers that a person wrote down
``opening``       names on the command line to suspects
"""

from earmark.suspects.protocol import Answer, Miss, ScoringSuspect, Suspect, top_answers

__all__ = ["Answer", "Miss", "ScoringSuspect", "Suspect", "top_answers"]
