"""What schemathesis has to know besides the OpenAPI description: how JSON lines are written, and the rules that
JSON Schema cannot express. Each exception is as narrow as its rule, and says why it exists.

Used through `schemathesis.toml` by the tests in `tests/it/schemathesis.rs`; needs the package `schemathesis`.
"""

import json
import math
import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

JSON_LINES = "application/x-ndjson"
BATCH = "/v1/expenses/batch"

# For each code of a problem, the fields that name something that has to exist, or whose bounds depend on it. A
# schema cannot express this, because it describes one request, not what was sent before it.
REFERENCES = {
    # The purchase that is refunded, the decision that is superseded, the plan that was agreed.
    "invalid_expense": {"refunds", "supersedes", "under"},
    # The amount has the decimals of the expense's currency and is no larger than the expense; the category is
    # one that the tenant has a policy for; the actor is required with the key of a program, and the role
    # unless people withdraw an expense of their own.
    "invalid_resolution": {"amount", "category", "actor", "role"},
    # The name in the path says which labels there are, and whether there is a comment; a category is one that the
    # tenant has a policy for; the actor is required with the key of a program.
    "invalid_feedback": {"label", "comment", "actor"},
    # The cursor has to name a decision.
    "unknown_cursor": set(),
}


def is_of_reference(problem):
    """Whether a problem concerns references only."""
    allowed = REFERENCES.get(problem["code"])
    return allowed is not None and {error["field"] for error in problem.get("errors", [])} <= allowed


# JSON lines. OpenAPI 3.1 has no schema for the items of a stream, so the description has that of one line,
# or only names it. Here the whole body becomes an array of lines.


@schemathesis.hook
def before_load_schema(context, raw_schema):
    # The generator cannot combine all conditions of an expense. It gets those with an `if`; `whole` sees to the
    # others, which are alternatives.
    submission = raw_schema["components"]["schemas"]["Submission"]
    submission["allOf"] = [rule for rule in submission["allOf"] if "if" in rule]
    batch = raw_schema["paths"][BATCH]["post"]
    lines = [{"$ref": f"#/components/schemas/{name}"} for name in ("Submission", "KeyedLine")]
    batch["requestBody"]["content"][JSON_LINES]["schema"] = {"type": "array", "items": {"anyOf": lines}}
    answer = batch["responses"]["200"]["content"][JSON_LINES]
    answer["schema"] = {"type": "array", "items": answer["schema"]}


@schemathesis.serializer(JSON_LINES)
def to_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@schemathesis.deserializer(JSON_LINES)
def from_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.check
def every_valid_line_is_accepted(context, response, case):
    """Like `positive_data_acceptance`, for each line of a batch."""
    if case.path != BATCH or response.status_code != 200 or not case.meta.generation.mode.is_positive:
        return
    for answer in from_lines(context, response):
        if answer["status"] not in (201, 409) and not is_of_reference(answer["body"]):
            raise AssertionError(f"a valid line was refused: {answer}")


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if isinstance(failure, RejectedPositiveData):
        return not is_of_reference(response.json())
    # A batch is accepted as a whole: an error in a line is reported in the answer to that line.
    if isinstance(failure, AcceptedNegativeData) and case.path == BATCH and response.status_code == 200:
        return all(answer["status"] < 400 for answer in from_lines(context, response))
    return True


# Valid values. JSON Schema describes numbers, not how they are written: it cannot refuse an exponent or limit
# decimals, and `multipleOf` fails in validators that divide binary floats. So a number is cut to a whole one,
# which every currency accepts; decimals are generated as strings. And a text has to show something, but the
# patterns leave out the invisible characters above U+FFFF, which regular expressions write in different ways.

RARE_INVISIBLE = re.compile("[\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")


def acceptable(value):
    if isinstance(value, str):
        return RARE_INVISIBLE.sub("x", value)
    if isinstance(value, float) and value != 0:
        return math.trunc(value) or int(math.copysign(1, value))
    if isinstance(value, list):
        return [acceptable(item) for item in value]
    if isinstance(value, dict):
        return {name: acceptable(item) for name, item in value.items()}
    return value


def whole(value):
    """A body in which a distance has its unit, and a plan has no plan."""
    if isinstance(value, list):
        return [whole(item) for item in value]
    if not isinstance(value, dict):
        return value
    value = {name: whole(item) for name, item in value.items()}
    if value.get("distance") is None or value.get("distance_unit") is None:
        value.pop("distance", None)
        value.pop("distance_unit", None)
    if value.get("plan") is True:
        value.pop("under", None)
    return value


@schemathesis.hook
def map_case(context, case):
    if case.meta.generation.mode.is_positive:
        case.body = whole(acceptable(case.body))
        case.query = acceptable(case.query)
    return case
