"""Names to architectures; reading and writing weights with their metadata.

``preprocessing``  from canonical inputs to what a network reads (no framework needed)
``description``    what a released model says of itself: architecture, classes, preprocessing
``table``          names to architectures
``digits_cnn``     a small network for small pictures
``resnet``         ResNet-18 in the paper's 32x32 form
``planned``        networks without memory, to be looked at before they are made
``weights``        safetensors with that description in their metadata
``onnx_export``    a trained model as an ONNX file with the same description
``hf_folder``      a Hugging Face folder as bytes: what is in it, and what is refused
``hf``             Hugging Face folders as networks to train, and back
"""
