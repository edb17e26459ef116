"""The identities behind two sums in one register, over all words, by an SMT solver (`pip install 'stapes[smt]'`)."""

from __future__ import annotations

import pytest

z3 = pytest.importorskip("z3")


def unsatisfiable(*constraints: object) -> bool:
    solver = z3.Solver()
    solver.add(*constraints)
    found = solver.check()
    assert found != z3.unknown
    return bool(found == z3.unsat)


def test_the_second_sum_comes_out_of_the_first_for_all_words() -> None:
    """R = A + 256 B modulo 2^32: (R - A) >> 8 is B for every A and every B of 24 bits, and not for the next ones."""
    a, b = z3.BitVecs("a b", 32)
    raw = a + (b << 8)
    differs = (raw - a) >> 8 != b
    assert unsatisfiable(b >= -(2**23), b < 2**23, differs)
    assert not unsatisfiable(b == 2**23, differs)
    assert not unsatisfiable(b == -(2**23) - 1, differs)


def test_two_weights_in_a_word_for_all_pairs() -> None:
    """The word of a beside b less the borrow, read as an int16, is a + 256 b wherever the borrow fits a byte; with
    b = -128 beside a negative one it is not.
    """
    a, b = z3.BitVecs("a b", 8)
    borrow = z3.If(a < 0, z3.BitVecVal(1, 8), z3.BitVecVal(0, 8))
    word = z3.SignExt(16, z3.Concat(b - borrow, a))
    differs = word != z3.SignExt(24, a) + 256 * z3.SignExt(24, b)
    overflows = z3.And(b == -128, a < 0)
    assert unsatisfiable(z3.Not(overflows), differs)
    assert not unsatisfiable(overflows, differs)


def test_a_product_adds_to_both_sums_for_all_words() -> None:
    """Modulo 2^32, x (a + 256 b) added to A + 256 B is (A + x a) + 256 (B + x b)."""
    first, second = z3.BitVecs("A B", 32)
    x, a, b = (z3.SignExt(24, each) for each in z3.BitVecs("x a b", 8))
    one = first + (second << 8) + x * (a + (b << 8))
    other = (first + x * a) + ((second + x * b) << 8)
    assert unsatisfiable(one != other)
