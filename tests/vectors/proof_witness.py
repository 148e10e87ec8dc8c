"""A second checker of ownership proofs, to check the first: plain Python, slow, written from the page.

It follows docs/formats/ownership-proof-v1.md, imports nothing of Earmark and nothing outside the standard library.
The statement is given to it with the integer network written out; what it finds of each proof is printed:
"accepted", "format", or the step that refuses.

    python tests/vectors/proof_witness.py STATEMENT.json PROOF...
"""

import hashlib
import json
import sys
from functools import cache
from operator import mul
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from witness import Refused, Stream, digest, frame, need

P = 15 * 2**27 + 1
COLUMNS, RANDOM_BYTES, ROWS_OF_COMMITMENT = 192, 1272, 320
MAGIC = b"earmark/ownership-proof/v1\n"
# One table behind the other: its number, x, and what y is.
TABLES = (
    (range(256), lambda x: 0),
    (range(-(2**17), 2**17), lambda x: min(max(x // 256, 0), 255)),
    (range(-255, 256), lambda x: max(x, 0)),
    (range(2**12), lambda x: 0),
)
TABLE_SIZE = sum(len(xs) for xs, _ in TABLES)
BYTES, REQUANTISE, RECTIFY, LIMBS = range(4)
SLOT = 96  # bits for one coefficient while many products are added up without reducing


# ------------------------------------------------------------------- the field and its extension


def root(order):
    return pow(31, (P - 1) // order, P)


def times(a, b):
    """The product in F_p[x] / (x^5 - 2)."""
    found = [0] * 9
    for i, left in enumerate(a):
        for j, right in enumerate(b):
            found[i + j] += left * right
    return tuple((found[i] + 2 * (found[i + 5] if i < 4 else 0)) % P for i in range(5))


def plus(*elements):
    return tuple(sum(parts) % P for parts in zip(*elements, strict=True))


def scaled(number, a):
    return tuple(number * part % P for part in a)


def power(a, exponent):
    found = (1, 0, 0, 0, 0)
    for bit in bin(exponent)[2:]:
        found = times(found, found)
        found = times(found, a) if bit == "1" else found
    return found


def inverses(elements):
    """All inverses with one exponentiation; nothing may be zero."""
    before, product = [], (1, 0, 0, 0, 0)
    for element in elements:
        before.append(product)
        product = times(product, element)
    rest = power(product, P**5 - 2)
    found = []
    for element, earlier in zip(reversed(elements), reversed(before), strict=True):
        found.append(times(rest, earlier))
        rest = times(rest, element)
    return found[::-1]


def packed(a):
    return sum(part << (SLOT * place) for place, part in enumerate(a))


def unpacked(number):
    return tuple((number >> (SLOT * place) & (2**SLOT - 1)) % P for place in range(5))


def weighed(elements, numbers):
    """The sum of packed elements, each times a number of the field."""
    return unpacked(sum(map(mul, elements, numbers)))


def field_words(seed, count):
    size = count + count // 8 + 64
    while True:
        data = hashlib.shake_256(seed).digest(4 * size)
        words = (int.from_bytes(data[at : at + 4], "little") & 2**31 - 1 for at in range(0, len(data), 4))
        found = [word for word in words if word < P]
        if len(found) >= count:
            return found[:count]
        size *= 2


# -------------------------------------------------------------------------------- the statement


def row(size, width):
    return -(-size // width)


def entries_of(term):
    """(sum, value, weight) for every weight of a term."""
    if term["kind"] == "matrix":
        return [(number, value, weight) for number, row in enumerate(term["rows"]) for value, weight in row]
    start, channels, height, width, interleaved = term["picture"]
    down, across, above, left, down_step, across_step, rows, columns = term["window"]
    outputs, per_group, kernel_rows, kernel_columns = term["kernel_shape"]
    weights, found = iter(term["kernel"]), []
    for output in range(outputs):
        first = output // (outputs // term["groups"]) * per_group
        for channel in range(first, first + per_group):
            for i in range(kernel_rows):
                for j in range(kernel_columns):
                    weight = next(weights)
                    for row in range(rows):
                        for column in range(columns):
                            y = row * down - above + i * down_step
                            x = column * across - left + j * across_step
                            if 0 <= y < height and 0 <= x < width:
                                place = (
                                    (y * width + x) * channels + channel
                                    if interleaved
                                    else (channel * height + y) * width + x
                                )
                                found.append(
                                    ((output * rows + row) * columns + column, start + place, weight)
                                )
    return found


class Statement:
    """What is to be shown, and where its values lie."""

    def __init__(self, value):
        network = value["network"]
        self.input_size, self.layers, self.scores = (
            network["input_size"], network["layers"], network["scores"],
        )  # fmt: skip
        self.labels, self.needed, self.k = value["labels"], value["needed"], value["degree_bound"]
        self.commitments = [bytes.fromhex(item) for item in value["commitments"]]
        self.context, self.classes = bytes.fromhex(value["context"]), len(self.scores["bias"])
        self.width, self.code_length = self.k - COLUMNS, 8 * self.k
        self.depth = self.code_length.bit_length() - 1
        self.digest = self.own_digest()
        self.lay_out()

    def own_digest(self):
        def integers(values):
            return b"".join(value.to_bytes(8, "little", signed=True) for value in values)

        parts = [self.input_size, len(self.layers), 8, 2**17, 2**12]
        for layer in (*self.layers, self.scores):
            parts += [layer["table"], len(layer["bias"]), len(layer["terms"])]
            for term in layer["terms"]:
                if term["kind"] == "matrix":
                    columns = [column for row in term["rows"] for column, _ in row]
                    weights = [weight for row in term["rows"] for _, weight in row]
                    pointers = [0]
                    for row in term["rows"]:
                        pointers.append(pointers[-1] + len(row))
                    parts += [b"matrix", term["seen"], *map(integers, (pointers, columns, weights))]
                else:
                    numbers = (*term["picture"], *term["window"], term["groups"], *term["kernel_shape"])
                    parts += [b"convolution", *numbers, integers(term["kernel"])]
            parts.append(integers(layer["bias"]))
        network = digest("earmark/integer-network/v1", *parts)
        given = (b"".join(self.commitments), integers(self.labels), self.needed, self.context)
        return digest("earmark/ownership-statement/v1", network, *given, self.k, COLUMNS, 8)

    def lay_out(self):
        width, count = self.width, len(self.labels)
        byte_rows = row(self.input_size + RANDOM_BYTES, width)
        self.sum_rows, start = {}, byte_rows
        blocks = []
        for table in (REQUANTISE, RECTIFY):
            size = row(sum(len(x["bias"]) for x in self.layers if x["table"] == table), width)
            self.sum_rows[table] = (start, start + size)
            blocks += [(start + i, start + size + i, table) for i in range(size)]
            start += 2 * size
        self.rows_per_input = start
        self.group = row(count, width)
        self.bits = count * start
        self.first_score = self.bits + self.group
        self.first_limb = self.first_score + self.group * self.classes
        self.first_count = self.first_limb + 2 * self.group * (self.classes - 1)
        self.first_rows = self.first_count + row(TABLE_SIZE, width)
        self.lookups = []
        for number in range(count):
            own = number * start
            self.lookups += [(own + i, None, BYTES) for i in range(byte_rows)]
            self.lookups += [(own + x, own + y, table) for x, y, table in blocks]
        self.lookups += [(i, None, LIMBS) for i in range(self.first_limb, self.first_count)]
        self.masks = 5 * len(self.lookups)
        self.second_rows = self.masks + 35


# ------------------------------------------------------------------------------------ the file


class Proof:
    """The parts of a file that has the one length."""

    def __init__(self, data, statement):
        self.data, self.at = data, len(MAGIC)
        need(data.startswith(MAGIC), "format")
        k, depth = statement.k, statement.depth
        matrix_bytes = sum(4 * COLUMNS * n for n in (statement.first_rows, statement.second_rows))
        need(
            len(data) == self.at + 96 + 100 * k + matrix_bytes + 2 * COLUMNS * 32 * (1 + depth),
            "format",
        )
        self.digest, self.first_root, self.second_root = self.take(32), self.take(32), self.take(32)
        sizes = {"proximity": k, "linear": 2 * k, "quadratic": 2 * k}
        self.said = {}
        self.polynomials = {}
        for name, size in sizes.items():
            start = self.at
            words = self.words(5 * size)
            self.said[name] = data[start : self.at]
            self.polynomials[name] = [tuple(words[i : i + 5]) for i in range(0, 5 * size, 5)]
        self.matrices = []
        for rows in (statement.first_rows, statement.second_rows):
            words = self.words(COLUMNS * rows)
            columns = [words[i::COLUMNS] for i in range(COLUMNS)]
            salts = [self.take(32) for _ in range(COLUMNS)]
            siblings = [[self.take(32) for _ in range(depth)] for _ in range(COLUMNS)]
            self.matrices.append((columns, salts, siblings))

    def take(self, count):
        self.at += count
        return self.data[self.at - count : self.at]

    def words(self, count):
        data = self.take(4 * count)
        found = [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]
        need(all(word < P for word in found), "format")
        return found


def leads(column, salt, siblings, place, expected):
    data = b"".join(word.to_bytes(4, "little") for word in column)
    found = hashlib.sha256(frame("earmark/proof-column/v1", salt, data)).digest()
    for sibling in siblings:
        pair = (sibling, found) if place & 1 else (found, sibling)
        found = hashlib.sha256(frame("earmark/proof-node/v1", *pair)).digest()
        place >>= 1
    return found == expected


# ---------------------------------------------------------------------------------- challenges


class Challenges:
    """One state; what is drawn depends on all that was absorbed."""

    label = "earmark/ownership-transcript/v1"

    def __init__(self, statement_digest):
        self.state = digest(self.label, statement_digest)

    def absorb(self, name, data):
        self.state = digest(self.label, self.state, name, data)

    def draw(self, name, count):
        words = field_words(frame("earmark/ownership-challenge/v1", self.state, name), 5 * count)
        return [tuple(words[i : i + 5]) for i in range(0, 5 * count, 5)]

    def columns(self, code_length):
        stream, found = Stream("earmark/ownership-challenge/v1", self.state, "columns"), set()
        while len(found) < COLUMNS:
            found.add(stream.uniform(code_length))
        return sorted(found)


def table_entries(alpha, beta):
    """alpha - x - beta y - beta^2 table for every pair."""
    square, found = times(beta, beta), []
    for number, (xs, y_of) in enumerate(TABLES):
        for x in xs:
            weighted = plus((x, 0, 0, 0, 0), scaled(y_of(x), beta), scaled(number, square))
            found.append(tuple((a - b) % P for a, b in zip(alpha, weighted, strict=True)))
    return found


class Coefficients:
    """All random coefficients, and the public number that multiplies each place."""

    def __init__(self, statement, drawn, alpha, beta, entries):
        self.statement, self.alpha, self.beta = statement, alpha, beta
        count, classes = len(statement.labels), statement.classes
        self.inputs = drawn.draw("inputs", count)
        (of_count,) = drawn.draw("count", 1)
        (self.of_lookups,) = drawn.draw("look-ups", 1)
        of_commitments = drawn.draw("commitments", ROWS_OF_COMMITMENT)
        of_sums = [drawn.draw(f"layer {i}", len(x["bias"])) for i, x in enumerate(statement.layers)]
        of_scores, of_margins = drawn.draw("scores", classes), drawn.draw("margins", classes - 1)
        self.proximity = [
            *drawn.draw("proximity 1", statement.first_rows),
            *drawn.draw("proximity 2", statement.second_rows),
        ]
        mask = statement.first_rows + statement.masks
        for place in range(5):
            self.proximity[mask + place] = tuple(int(i == place) for i in range(5))
        self.products = drawn.draw("products", len(statement.lookups) + statement.group)
        self.target = scaled(statement.needed, of_count)
        self.of_input_rows(of_commitments, of_sums, of_scores)
        self.of_other_rows(of_count, of_commitments, of_scores, of_margins)
        self.of_count_rows(entries)

    def of_input_rows(self, of_commitments, of_sums, of_scores):
        statement, width = self.statement, self.statement.width
        places = list(range(statement.input_size))
        sums, used = [], {REQUANTISE: 0, RECTIFY: 0}
        for layer in statement.layers:
            before, after = statement.sum_rows[layer["table"]]
            steps = range(used[layer["table"]], used[layer["table"]] + len(layer["bias"]))
            sums.append([before * width + step for step in steps])
            places += [after * width + step for step in steps]
            used[layer["table"]] += len(layer["bias"])
        totals = [0] * (statement.rows_per_input * width)
        bias = 0
        layers = zip((*statement.layers, statement.scores), (*of_sums, of_scores), strict=True)
        for layer, coefficients in layers:
            numbers = [packed(coefficient) for coefficient in coefficients]
            bias += sum(
                number * (constant % P) for number, constant in zip(numbers, layer["bias"], strict=True)
            )
            for term in layer["terms"]:
                for place, value, weight in entries_of(term):
                    totals[places[value]] += numbers[place] * (weight % P)
        for own, coefficients in zip(sums, of_sums, strict=True):
            for place, coefficient in zip(own, coefficients, strict=True):
                totals[place] += packed(coefficient) * (P - 1)
        width_of_matrix = statement.input_size + RANDOM_BYTES
        seed = frame("earmark/sis/v1", ROWS_OF_COMMITMENT, statement.input_size, RANDOM_BYTES)
        matrix = field_words(seed, ROWS_OF_COMMITMENT * width_of_matrix)
        numbers = [packed(coefficient) for coefficient in of_commitments]
        for column in range(width_of_matrix):
            totals[column] += sum(map(mul, numbers, matrix[column::width_of_matrix]))
        self.bias = unpacked(bias)
        rows = [packed(unpacked(total)) for total in totals]
        self.input_rows = [rows[i : i + width] for i in range(0, len(rows), width)]

    def of_other_rows(self, of_count, of_commitments, of_scores, of_margins):
        statement, classes = self.statement, self.statement.classes
        numbers = [packed(coefficient) for coefficient in of_commitments]
        negative = lambda a: scaled(P - 1, a)  # noqa: E731 - one line says it
        columns = []
        for label, commitment, own in zip(statement.labels, statement.commitments, self.inputs, strict=True):
            words = [int.from_bytes(commitment[i : i + 4], "little") for i in range(0, len(commitment), 4)]
            bit = plus(self.bias, negative(weighed(numbers, words)), *map(negative, of_margins))
            scores = [negative(coefficient) for coefficient in of_scores]
            for offset, coefficient in enumerate(of_margins, 1):
                other = (label + offset) % classes
                scores[label] = plus(scores[label], coefficient)
                scores[other] = plus(scores[other], negative(coefficient))
            low = [negative(coefficient) for coefficient in of_margins]
            high = [scaled(-4096 % P, coefficient) for coefficient in of_margins]
            column = [times(item, own) for item in (bit, *scores, *low, *high)]
            column[0] = plus(column[0], of_count)
            columns.append([packed(item) for item in column])
        self.other_rows = []
        for part in zip(*columns, strict=True):
            padded = [*part, *[0] * (statement.group * statement.width - len(part))]
            self.other_rows += [
                padded[i : i + statement.width] for i in range(0, len(padded), statement.width)
            ]

    def of_count_rows(self, entries):
        width = self.statement.width
        values = [packed(item) for item in inverses(entries)]
        values += [0] * (-len(values) % width)
        self.count_rows = [values[i : i + width] for i in range(0, len(values), width)]


# ------------------------------------------------------------------------------------ checking


@cache
def lagrange(k, width, place):
    """Which multiples of the first ``width`` values of a polynomial of degree below k give its value at a column."""
    own, point = root(k), 31 * pow(root(8 * k), place, P) % P
    common = (pow(point, k, P) - 1) * pow(k, -1, P) % P
    return [common * x % P * pow(point - x, -1, P) % P for x in (pow(own, i, P) for i in range(width))]


def value_at(coefficients, point):
    found, factor = 0, 1
    for coefficient in coefficients:
        found += packed(coefficient) * factor
        factor = factor * point % P
    return unpacked(found)


def values_where_values_lie(polynomial, statement):
    """At the first w powers of w_k; modulo X^k - 1 the upper half falls onto the lower."""
    k = statement.k
    folded = [packed(plus(polynomial[i], polynomial[i + k])) for i in range(k)]
    powers = [pow(root(k), i, P) for i in range(k)]
    return [
        unpacked(sum(folded[i] * powers[i * place % k] for i in range(k))) for place in range(statement.width)
    ]


def mask_at(rows, point, k):
    """u0 + X^(k/2) u1 + X^k u2 from fifteen entries of a column."""
    parts = [tuple(rows[i : i + 5]) for i in (0, 5, 10)]
    return plus(*(scaled(pow(point, i * k // 2, P), part) for i, part in enumerate(parts)))


def linear_at(own, first, second, place):
    statement = own.statement
    weights = lagrange(statement.k, statement.width, place)
    found = []
    for block, vector in enumerate(own.input_rows):
        entries = first[block : statement.bits : statement.rows_per_input]
        of_inputs = weighed([packed(item) for item in own.inputs], entries)
        found.append(times(of_inputs, weighed(vector, weights)))
    for entry, vector in zip(first[statement.bits :], own.other_rows, strict=False):
        found.append(scaled(entry, weighed(vector, weights)))
    counted = [
        scaled(entry, weighed(vector, weights))
        for entry, vector in zip(first[statement.first_count :], own.count_rows, strict=True)
    ]
    inverse_sum = tuple(sum(second[part : statement.masks : 5]) * sum(weights) % P for part in range(5))
    total = plus(inverse_sum, scaled(P - 1, plus(*counted)))
    return plus(*found, times(own.of_lookups, total))


def quadratic_at(own, first, second):
    statement, found = own.statement, []
    square = times(own.beta, own.beta)
    for number, (x, y, table) in enumerate(statement.lookups):
        y_value = 0 if y is None else first[y]
        weighted = plus((first[x], 0, 0, 0, 0), scaled(y_value, own.beta), scaled(table, square))
        factor = plus(own.alpha, scaled(P - 1, weighted))
        product = times(tuple(second[5 * number : 5 * number + 5]), factor)
        found.append(times(own.products[number], plus(product, (P - 1, 0, 0, 0, 0))))
    for group in range(statement.group):
        bit = first[statement.bits + group]
        found.append(scaled(bit * bit - bit, own.products[len(statement.lookups) + group]))
    return plus(*found)


_COEFFICIENTS = {}


def coefficients_of(statement, challenges, proof):
    alpha, beta = challenges.draw("tables", 2)
    entries = table_entries(alpha, beta)
    need((0, 0, 0, 0, 0) not in entries, "step 2")
    challenges.absorb("second root", proof.second_root)
    known = (statement.digest, proof.first_root, proof.second_root)
    if known not in _COEFFICIENTS:
        _COEFFICIENTS[known] = Coefficients(statement, challenges, alpha, beta, entries)
    return _COEFFICIENTS[known]


def check(statement, data):
    proof = Proof(data, statement)
    need(proof.digest == statement.digest, "step 1")
    challenges = Challenges(statement.digest)
    challenges.absorb("first root", proof.first_root)
    own = coefficients_of(statement, challenges, proof)
    for name, said in proof.said.items():
        challenges.absorb(name, said)
    places = challenges.columns(statement.code_length)
    total = plus(*values_where_values_lie(proof.polynomials["linear"], statement))
    need(total == own.target, "step 3")
    vanishing = values_where_values_lie(proof.polynomials["quadratic"], statement)
    need(all(value == (0, 0, 0, 0, 0) for value in vanishing), "step 4")
    for step, matrix, expected in zip(
        (5, 6), proof.matrices, (proof.first_root, proof.second_root), strict=True
    ):
        for opened, place in zip(zip(*matrix, strict=True), places, strict=True):
            need(leads(*opened, place, expected), f"step {step}")
    at = [
        (place, 31 * pow(root(statement.code_length), place, P) % P, first, second)
        for place, first, second in zip(places, proof.matrices[0][0], proof.matrices[1][0], strict=True)
    ]
    combined = [packed(item) for item in own.proximity]
    for _, point, first, second in at:
        found = weighed(combined, [*first, *second])
        need(found == value_at(proof.polynomials["proximity"], point), "step 7")
    mask = statement.masks + 5
    for place, point, first, second in at:
        found = plus(linear_at(own, first, second, place), mask_at(second[mask:], point, statement.k))
        need(found == value_at(proof.polynomials["linear"], point), "step 8")
    for _, point, first, second in at:
        found = plus(quadratic_at(own, first, second), mask_at(second[mask + 15 :], point, statement.k))
        need(found == value_at(proof.polynomials["quadratic"], point), "step 9")


def main(statement_path, *proof_paths):
    statement = Statement(json.loads(Path(statement_path).read_text("utf-8")))
    for path in proof_paths:
        found = "accepted"
        try:
            check(statement, Path(path).read_bytes())
        except Refused as step:
            found = str(step)
        sys.stdout.write(f"{Path(path).name}: {found}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
