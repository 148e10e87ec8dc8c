"""What judges marks: models x attacks x shares of data x seeds, run, kept, resumed and shown.

``study``            what a study is, and its file
``thief``            what the adversary of a study holds
``cells``            the plan: one cell for each model, attack, number of pictures and seed
``judging``          what verification says of an attacked model, with a journal that is thrown away
``attacked_models``  attacked models by the digest of what they were made from
``costs``            time and memory of an attack, without those of looking on
``run_cell``         one cell, in a worker
``engine``           what runs cells
``local_engine``     worker processes on this machine
``ray_engine``       workers of a Ray cluster
``store``            what became of every cell, in SQLite
``driver``           a study from its file to its results
``export``           cells as rows: CSV, Parquet, and what became of each mark
"""
