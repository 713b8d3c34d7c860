"""What scripts/fuzz-http judges otherwise than schemathesis does by itself, which loads this file."""

from collections import Counter, defaultdict
from urllib.parse import parse_qs, urlsplit

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData, ServerError
from schemathesis.specs.openapi.checks import is_unexpected_http_status_case


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """Whether a failure is one."""
    if isinstance(failure, ServerError):
        return not says_full(response)
    if isinstance(failure, AcceptedNegativeData):
        return not is_left_out(case, response) and not says_failed(response)
    return True


def says_full(response):
    """A store in memory is always there, but it may be full."""
    return response.status_code == 503 and field(response, "error", "code") == "store_full"


def says_failed(response):
    """Why a link fails its test, or a postback would be refused, is what was to be told, so that it is no refusal."""
    return field(response, "data", "passed") is False or field(response, "data", "outcome") is not None


def field(response, outer, inner):
    try:
        return response.json()[outer][inner]
    except (ValueError, LookupError, TypeError):
        return None


def is_left_out(case, response):
    """Whether all that is wrong with a request is a parameter that is empty, and so counts as left out."""
    wrong = case.meta.phase.data
    names = {wrong.parameter, *(mutation.parameter for mutation in getattr(wrong, "mutations", []))} - {None}
    sent = parse_qs(urlsplit(response.request.url).query, keep_blank_values=True)
    return bool(names) and all(sent.get(name) == [""] for name in names)


@schemathesis.check
class EveryOperationSucceeds:
    """An operation that has refused all calls was not tested: it may have looked at their first parameter only."""

    def __init__(self):
        self.answers = defaultdict(Counter)

    def after_response(self, ctx, response, case):
        if not is_unexpected_http_status_case(case):
            self.answers[case.operation.label][response.status_code] += 1

    def after_run(self, ctx):
        for operation, answers in sorted(self.answers.items()):
            print(f"{operation}: {dict(sorted(answers.items()))}")
        refused = sorted(operation for operation, answers in self.answers.items() if min(answers) >= 400)
        if refused:
            raise AssertionError(f"No call of these succeeded: {', '.join(refused)}")
