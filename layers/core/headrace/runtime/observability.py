"""Structured logs. Payloads, tokens and names of persons never go in."""

from functools import cache

from aws_lambda_powertools import Logger


@cache
def logger() -> Logger:
    """The one logger of the process: JSON lines with the correlation id of the call."""
    return Logger(service="headrace", log_uncaught_exceptions=False)
