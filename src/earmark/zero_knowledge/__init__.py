"""Ownership proofs in zero knowledge: nothing is opened, so a key never wears out.

Not yet reviewed by cryptographers outside the project.

``network``     networks of integers, evaluated exactly: what a proof speaks about
``sums``        the linear half of a layer, forwards and backwards
``onnx_graph``  ONNX files as sums and rectifiers
``tensors``     what a file says before it is rounded; ``ordered``: products that all machines round alike
``quantiser``   networks of real numbers to networks of integers
``limits``      what is refused before it is made
``statement``   what is proven, and which row holds what
``transcript``  challenges from hashes
``columns``     rows as codewords, and the Merkle tree over columns
``equations``   the coefficients of the three random combinations; ``combining``: adding them up
``sealing``     rows to proof
``prover``      openings to rows
``proof``       the argument; ``signed_proof``: what is handed over
``checker``     nine numbered steps
``ownership``   what a checker derives by himself from key, commitments and suspect

Ligero (Ames, Hazay, Ishai, Venkitasubramaniam 2017) with logarithmic-derivative look-ups (Haboeck 2022);
theorem and proofs: docs/mathematics/zero-knowledge.md.
"""
