"""What normalisation did to a file, in words."""

from engine.data import QualityReport
from engine.wording import counted

RULES = {
    "ragged_row": "dropped for a wrong number of cells",
    "unreadable_time": "dropped for a time that cannot be read",
    "impossible_time": "dropped for a local time that does not exist or could be either of two",
    "conflicting_duplicate": "dropped for different values at one time",
    "bad_price": "dropped for a bad price",
    "inverted_range": "dropped for an inverted range",
    "bad_volume": "dropped for a bad volume",
    "exact_duplicate": "dropped for repeating another row",
    "unsorted": "out of order and sorted",
    "widened_range": "with high and low widened by rounding",
    "outside_sessions": "outside the sessions of the calendar",
    "gap": "after a gap",
    "adjustment_jump": "with a split or a large dividend by the adjusted close",
}


def changes(report: QualityReport) -> list[str]:
    """Return one sentence on what was found in a file's rows, or nothing."""
    found = [
        f"{report.counts[rule]:,} {what}" for rule, what in RULES.items() if rule in report.counts
    ]
    return [f"of {counted(report.rows_in, 'row')}, {'; '.join(found)}."] if found else []
