"""Parts of stories that all registers have."""

from datetime import date, timedelta


def date_span(row: dict) -> dict:
    """The days from `start` to `end` of a row. Whole months are unknown days within them: a row has full dates only."""
    days = [date.fromisoformat(row[field]) for field in ("start", "end")]
    dates = [{"year": day.year, "month": day.month, "day": day.day} for day in days]
    is_within = days[0].day == 1 and (days[1] + timedelta(days=1)).day == 1
    extent = {"extent": "SOMETIME_WITHIN"} if is_within else {}
    return {"start": dates[0], "end": dates[1], "basis": "STATED"} | extent


def evidence(field: str, quote: str, text: str) -> dict:
    """The first occurrence of a quote in the text, by its offsets: it may occur again."""
    start = text.index(quote)
    return {"field": field, "quote": quote, "start": start, "end": start + len(quote)}
