"""Exact amounts of money: what counts of energy cost, and how a month's charge is spread over its days. Pure.

Amounts stay exact, whatever they are summed over, so that the parts of a bill are the whole. They are rounded once, for
showing (`rounded`).
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact

from greenpower.energy.tariff import MAX_PRICE_DECIMALS
from greenpower.measure.slot import COUNTS_PER_UNIT

#: raises Inexact rather than lose a digit
EXACT = Context(prec=100, traps=[Inexact])
SMALLEST_SHARE = Decimal(1).scaleb(-MAX_PRICE_DECIMALS)
# Minor units of ISO 4217 that are not 2.
DECIMALS_OF_CURRENCY = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def cost_of(counts: int, price: Decimal, per_unit: Decimal = Decimal(1)) -> Decimal:
    """What an amount of energy costs. counts: millionths of the counter's unit. per_unit: of the price's unit in one of
    the counter's: 0.001 for a counter of Wh and a price per kWh."""
    energy = EXACT.multiply(Decimal(counts).scaleb(-6), per_unit)
    return EXACT.multiply(energy, price)


def share_of_month(price: Decimal, day: int, days: int) -> Decimal:
    """The part of a month's charge that belongs to its day number `day`, from 0. The parts add up to the charge."""
    return EXACT.subtract(_up_to(price, day + 1, days), _up_to(price, day, days))


def _up_to(price: Decimal, days: int, of: int) -> Decimal:
    if days == of:
        return price
    whole = Context(prec=100).divide(price * days, Decimal(of))
    return whole.quantize(SMALLEST_SHARE, ROUND_HALF_UP)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """An amount as it is paid: whole minor units of the currency, halves away from zero."""
    return amount.quantize(Decimal(1).scaleb(-DECIMALS_OF_CURRENCY.get(currency, 2)), ROUND_HALF_UP)


def total(amounts: list[Decimal]) -> Decimal:
    """The exact sum."""
    found = Decimal(0)
    for amount in amounts:
        found = EXACT.add(found, amount)
    return found


def decimal_text(number: Decimal) -> str:
    """A decimal number without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


assert COUNTS_PER_UNIT == 10**6, "cost_of moves the point by 6"
