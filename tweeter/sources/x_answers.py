"""What X's refusals mean, in words: whose fault it is, and whether waiting helps.

Statuses and problem types: docs.x.com, "handling disconnections", "response codes and errors".
"""

import json
from collections.abc import Mapping
from typing import Any

from tweeter import moments
from tweeter.errors import SourceError
from tweeter.records import now_us
from tweeter.sources.backoff import exponential
from tweeter.sources.clock import clock_words, pause_until

OCCUPIED = "Another program holds the only connection that X allows this app."
WINDOW_S = 900.0  # of all its limits
MONTH_CHECK_S = 6 * 3600  # out of credits: looked at again so often


_limited_s = exponential(60, WINDOW_S)


class NotUnderstood(SourceError):
    """X answered 400. errors: what its body says of single rules; may be empty."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__("refused", f"X did not understand the request: {_detail(problem)}.")
        self.errors = listed(problem)


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> SourceError:
    """The error for an answer that is not 200."""
    problem = problem_of(body)
    if status == 401:
        return SourceError(
            "refused",
            "X refused our credentials (401). Check TWEETER_X_BEARER_TOKEN: it must be the"
            f" app's bearer token, not its API key.{clock_words(headers)}",
        )
    if status == 403:
        return SourceError("refused", _forbidden(problem))
    if status == 402 or _is(problem, "usage-capped"):
        return SourceError(
            "limited",
            "X is out of credits or at its monthly cap for this app. Waiting a few minutes does"
            " not help; see the usage page of the developer portal.",
            retry_at=now_us() + MONTH_CHECK_S * 1_000_000,
        )
    if status in (420, 429):
        return _too_many(headers, problem)
    if status == 409:
        return waiting()
    if status == 400:
        return NotUnderstood(problem)
    words = f"X answered {status}: {_detail(problem)}."
    if _is(problem, "ProvisioningSubscription"):
        words = "X is still setting up this app's subscription (503)."
    return SourceError("http", words, retry_at=pause_until(headers))


def listed(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The errors of an answer, also in one of 200."""
    errors = answer.get("errors")
    found = errors if isinstance(errors, list) else []
    return [error for error in found if isinstance(error, dict)]


def rule_refusal(error: Mapping[str, Any]) -> str:
    """Why X does not take a rule; with "cap" in it, because the account is full."""
    details = error.get("details")
    first = details[0] if isinstance(details, list) and details else None
    words = str(first or error.get("detail") or error.get("title") or "refused")[:200].rstrip(".")
    cap = "cap" in str(error.get("title", "")).lower()
    return f"{words} (rule cap)" if cap else words


def limit_s(error: SourceError, failures: int) -> float:
    """Seconds until X takes such a request again, at most its window; 0.0 if that is no matter."""
    if error.kind != "limited":
        return 0.0
    if error.retry_at is None:
        return _limited_s(failures)
    return min(max((error.retry_at - now_us()) / 1e6, 0.0), WINDOW_S)


def waiting() -> SourceError:
    """No rules: nothing is wrong."""
    return SourceError("waiting", "X is ready; waiting for the first keyword.")


def problem_of(body: bytes) -> dict[str, Any]:
    """The problem object of an answer or stream line, unwrapped; {} if there is none."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    errors = value.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return {**value, **errors[0]}
    return value


def in_stream(line: bytes) -> SourceError | None:
    """The error that a line of the stream announces, or None for a line that is data.

    A line with `data` is a post even if it also has `errors` (fields that could not be given).
    """
    if b'"data"' in line or not any(word in line for word in _ERROR_WORDS):
        return None
    problem = problem_of(line)
    if "data" in problem or not problem:
        return None
    if _is(problem, "TooManyConnections"):
        return _too_many({}, problem)
    if _is(problem, "RuleConfigurationIssue") or _is(problem, "InvalidRules"):
        return waiting()
    if "disconnect_type" in problem or _is(problem, "operational-disconnect"):
        kind = problem.get("disconnect_type", "OperationalDisconnect")
        return SourceError("closed", f"X ended the stream: {kind}. {_detail(problem)}")
    if "connection_issue" in problem:
        return SourceError("http", f"X ended the stream: {_detail(problem)}.")
    return None


_ERROR_WORDS = (b'"errors"', b'"disconnect_type"', b'"connection_issue"')


def _is(problem: Mapping[str, Any], word: str) -> bool:
    names = ("type", "title", "connection_issue", "disconnect_type")
    return any(word.lower() in str(problem.get(name, "")).lower() for name in names)


def _detail(problem: Mapping[str, Any]) -> str:
    words = problem.get("detail") or problem.get("title") or "no reason given"
    return str(words)[:300].rstrip(".")


def _forbidden(problem: Mapping[str, Any]) -> str:
    reason = str(problem.get("reason") or problem.get("title") or "")[:100]
    more = f" See {problem['registration_url']}" if problem.get("registration_url") else ""
    return (
        "The token is right, but this app may not open the filtered stream (403"
        f"{', ' + reason if reason else ''}): {_detail(problem)}. Check the app's plan.{more}"
    )


def _too_many(headers: Mapping[str, str], problem: Mapping[str, Any]) -> SourceError:
    if _is(problem, "TooManyConnections") or _is(problem, "ConnectionException"):
        return SourceError("occupied", OCCUPIED)
    reset = headers.get("x-rate-limit-reset", "")
    retry_at = pause_until(headers, int(reset[:12]) * 1_000_000 if reset.isdigit() else 0)
    if retry_at is None:
        return SourceError("limited", "X limits our rate.")
    retry_at = max(retry_at, now_us() + 1_000_000)
    until = moments.clock(retry_at)
    return SourceError("limited", f"X limits our rate until {until}.", retry_at=retry_at)
