"""Quantities as the API server reads and prints them."""

from __future__ import annotations

import pytest

from kubeobjects import quantity
from kubeobjects.quantity import FORMAT_WRONG, SUFFIX_WRONG, QuantityError


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("500m", "500m"),
        ("0.5", "500m"),
        (1.5, "1500m"),
        ("1000m", "1"),
        ("2000", "2k"),
        ("1500", "1500"),
        ("1024Mi", "1Gi"),
        ("1000Mi", "1000Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.3Mi", "314572800m"),
        ("512Ki", "512Ki"),
        ("0Gi", "0"),
        ("1e3", "1e3"),
        ("1000e3", "1e6"),
        ("4144e-3", "4144e-3"),
        # Go looks at a few digits only to see whether a text can stay as it is.
        ("1.500", "1.500"),
        ("+5", "+5"),
        ("0.1n", "1n"),
    ],
)
def test_a_quantity_is_printed_in_its_canonical_form(given: str | float, printed: str) -> None:
    assert quantity.canonical(given) == printed


@pytest.mark.parametrize("text", ["", "lots", "1 Gi", "1GB", "1.2.3", "1gi", "1Gi2x"])
def test_text_that_has_not_the_form_of_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(QuantityError) as refused:
        quantity.parse(text)
    assert str(refused.value) == FORMAT_WRONG


@pytest.mark.parametrize("text", ["1K", "512mi", "5e", "2MM", "3Kim"])
def test_letters_that_are_a_suffix_only_together_with_others_are_refused_in_other_words(text: str) -> None:
    with pytest.raises(QuantityError) as refused:
        quantity.parse(text)
    assert str(refused.value) == SUFFIX_WRONG


def test_fractions_of_bytes_and_millicores_are_rounded_up() -> None:
    assert quantity.whole("1500m") == 2
    assert quantity.milli("0.1m") == 1
    assert quantity.milli("100n") == 1


def test_a_sum_has_the_format_of_its_first_part() -> None:
    assert quantity.add("1Gi", "512Mi") == "1536Mi"
    assert quantity.add("0", "500m", "1500m") == "2"
    assert quantity.add("0", "0") == "0"
