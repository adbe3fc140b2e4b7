"""The report of the fault suite as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tools.chaos.suite import Report

MIB = 1 << 20


def show(report: Report, console: Console) -> None:
    """Print it, and last whether the books balance."""
    befell = ", ".join(f"{name} {count}" for name, count in sorted(report.faults.items()))
    console.print(
        f"\n{report.faults.total()} faults, {report.while_sending} of them while frames were sent: {befell}",
        highlight=False,
    )
    for line in report.skipped:
        console.print(f"skipped: {line}", highlight=False)
    console.print(_books(report))
    console.print(_apart(report))
    console.print(_held(report))
    took = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
    console.print(f"buckets equal to a plain recomputation: {report.buckets:,}; {took}", highlight=False)
    for name, books in report.books.items():
        for line in () if books.balanced else books.examples:
            console.print(f"{name}: {line}", highlight=False, markup=False)
    for line in report.trouble:
        console.print(line, highlight=False, markup=False)
    verdict = "balance" if report.balanced else "DO NOT BALANCE"
    console.print(f"seed {report.seed}: the books {verdict}", highlight=False)


def _books(report: Report) -> Table:
    table = _table("QoS 1", "sent, acked", "events", "readings sent", "stored")
    for name in ("lost", "doubled", "wrong", "strange", "unbooked"):
        table.add_column(name, justify="right")
    for name, books in report.books.items():
        numbers = (books.sent, books.events, books.readings, books.stored)
        faults = (books.lost, books.doubled, books.wrong, books.strange, books.unbooked)
        table.add_row(name, *(f"{number:,}" for number in (*numbers, *faults)))
    return table


def _apart(report: Report) -> Table:
    table = _table("reported apart", "sent", "stored", "missing")
    for name, sent, stored in report.apart:
        table.add_row(name, f"{sent:,}", f"{stored:,}", f"{sent - stored:,}")
    return table


def _held(report: Report) -> Table:
    table = _table("process", "MiB before", "at most", "after", "files before", "after", "threads", "children")
    for name, (before, most, after) in report.held.items():
        memory = (f"{size / MIB:.0f}" for size in (before.rss, most, after.rss))
        table.add_row(name, *memory, str(before.files), str(after.files), str(after.threads), str(after.children))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table
