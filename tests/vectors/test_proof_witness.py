"""Two checkers of ownership proofs that share no code find the same of valid and altered proofs."""

import dataclasses
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from earmark.errors import FormatError, ProofError
from earmark.zero_knowledge.checker import check_proof
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout
from earmark.zero_knowledge.sums import Convolution
from small_proofs import DEGREE_BOUND, tiny_proof, tiny_statement

WITNESS = Path(__file__).parent / "proof_witness.py"
LAYOUT = Layout(tiny_statement())
START = len(b"earmark/ownership-proof/v1\n")
POLYNOMIALS = START + 96
FIRST = POLYNOMIALS + 100 * DEGREE_BOUND
FIRST_TREE = FIRST + 4 * QUERY_COUNT * LAYOUT.first_rows
SECOND = FIRST_TREE + 32 * QUERY_COUNT * (1 + LAYOUT.code_length.bit_length() - 1)


def written(statement):
    """The statement with its integer network, for a reader without any library."""

    def term(item):
        if isinstance(item, Convolution):
            picture, window = item.picture, item.window
            return {
                "kind": "convolution",
                "picture": [
                    picture.start,
                    picture.channels,
                    picture.height,
                    picture.width,
                    int(picture.interleaved),
                ],
                "window": [*window.strides, *window.pads, *window.dilations, *window.shape],
                "groups": item.groups,
                "kernel_shape": list(item.kernel.shape),
                "kernel": item.kernel.reshape(-1).tolist(),
            }
        weights = item.weights
        pointers, columns, values = (
            part.tolist() for part in (weights.indptr, weights.indices, weights.data)
        )
        rows = [list(zip(columns[a:b], values[a:b], strict=True)) for a, b in pairwise(pointers)]
        return {"kind": "matrix", "seen": weights.shape[1], "rows": rows}

    def layer(item):
        terms = [term(part) for part in item.terms]
        return {"table": int(item.table), "terms": terms, "bias": item.bias.tolist()}

    network = statement.network
    return {
        "network": {
            "input_size": network.input_size,
            "layers": [layer(item) for item in network.layers],
            "scores": layer(network.scores),
        },
        "commitments": [row.astype("<u4").tobytes().hex() for row in statement.commitments],
        "labels": statement.labels.tolist(),
        "needed": statement.needed,
        "context": statement.context.hex(),
        "degree_bound": statement.degree_bound,
    }


GOLDEN = Path(__file__).parent / "v1" / "proofs"


def test_statement_and_proof_are_the_golden_ones():
    """Run with EARMARK_WRITE_VECTORS=1 once, before version 1 is released; never again."""
    made = {
        "statement.json": (json.dumps(written(tiny_statement()), indent=1) + "\n").encode(),
        "valid.proof": tiny_proof(),
    }
    for name, data in made.items():
        if os.environ.get("EARMARK_WRITE_VECTORS"):
            GOLDEN.mkdir(exist_ok=True)
            (GOLDEN / name).write_bytes(data)
        assert (GOLDEN / name).read_bytes() == data


def flipped(place, bit=1):
    data = bytearray(tiny_proof())
    data[place] ^= bit
    return bytes(data)


def found_here(statement, data):
    try:
        check_proof(statement, data)
    except FormatError:
        return "format"
    except ProofError as refusal:
        return f"step {refusal.step}"
    return "accepted"


def found_by_the_witness(folder, statement, proofs):
    (folder / "statement.json").write_text(json.dumps(written(statement)), "utf-8")
    for name, data in proofs.items():
        (folder / name).write_bytes(data)
    # Isolated: neither this project nor any installed package can be imported by accident.
    command = [sys.executable, "-I", "-S", str(WITNESS), "statement.json", *proofs]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=600, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ") for line in done.stdout.splitlines())


def test_the_witness_finds_what_the_checker_finds(tmp_path):
    proofs = {
        "valid": tiny_proof(),
        "another first line": flipped(3),
        "cut": tiny_proof()[:-1],
        "longer": tiny_proof() + b"\0",
        "a word outside the field": flipped(POLYNOMIALS + 3, 0x80),
        "statement digest": flipped(START),
        "second root": flipped(START + 64),
        "proximity": flipped(POLYNOMIALS),
        "linear": flipped(POLYNOMIALS + 20 * DEGREE_BOUND),
        "quadratic": flipped(POLYNOMIALS + 60 * DEGREE_BOUND),
        "an opened value": flipped(FIRST + 4),
        "an opened mask": flipped(SECOND + 4 * QUERY_COUNT * LAYOUT.second_rows - 4),
        "a salt": flipped(FIRST_TREE),
        "the last sibling": flipped(-1),
    }
    expected = {name: found_here(tiny_statement(), data) for name, data in proofs.items()}
    assert expected["valid"] == "accepted"
    assert set(expected.values()) >= {"format", "step 1", "step 3", "step 4", "step 5", "step 6"}
    assert found_by_the_witness(tmp_path, tiny_statement(), proofs) == expected


def test_it_finds_so_of_proofs_that_only_the_last_steps_refuse(tmp_path, monkeypatch):
    """Polynomials that keep their sums but are not the combinations: steps 7, 8 and 9."""
    from adversary.test_cheating_prover import altered_combinations

    proofs = {f"step {step}": data for step, data in altered_combinations(monkeypatch)}
    found = found_by_the_witness(tmp_path, tiny_statement(), proofs)
    assert found == {name: name for name in proofs} == {f"step {n}": f"step {n}" for n in (7, 8, 9)}


@pytest.mark.parametrize("change", ["needed", "context"])
def test_it_refuses_the_proof_of_another_statement(tmp_path, change):
    other = dataclasses.replace(
        tiny_statement(), **{"needed": {"needed": 2}, "context": {"context": b"b"}}[change]
    )
    rewritten = bytearray(tiny_proof())
    rewritten[START : START + 32] = other.digest
    proofs = {"as it was": tiny_proof(), "digest written over": bytes(rewritten)}
    expected = {name: found_here(other, data) for name, data in proofs.items()}
    assert expected["as it was"] == "step 1"
    assert found_by_the_witness(tmp_path, other, proofs) == expected


def test_the_witness_imports_nothing_of_earmark():
    lines = WITNESS.read_text("utf-8").splitlines()
    imports = [line.split()[1] for line in lines if line.startswith(("import ", "from "))]
    assert set(imports) <= {"hashlib", "json", "sys", "functools", "operator", "pathlib", "witness"}
