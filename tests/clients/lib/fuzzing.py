"""What schemathesis loads: what each answer must be, values for our scalars, and a line about each answer. What it does not
know of is mended in half of the questions, so that more of them come further than to be refused: that an input with @oneOf
has one field, and that a page has one direction."""

import json
import os
import pathlib
import zlib

import graphql
import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes, scalar

CODES = {
    "UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "BAD_REQUEST", "QUOTA_EXCEEDED", "RATE_LIMITED", "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED", "LIMIT_EXCEEDED", "CURSOR_EXPIRED", "CONFLICT",
}

moments = st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").zfill(24))
scalar("DateTime", moments.map(nodes.String))
scalar("Bytes", st.integers(min_value=0, max_value=2**53).map(nodes.Int))
scalar("EventCursor", (st.sampled_from(json.loads(os.environ["FUZZ_CURSORS"])) | st.text(max_size=40)).map(nodes.String))
SCHEMA = graphql.build_schema((pathlib.Path(__file__).parents[3] / "schema.graphql").read_text(encoding="utf-8"))


class Mended(graphql.Visitor):
    """Leaves one field of what must have one, and the first of two directions."""

    def __init__(self, types):
        super().__init__()
        self.types = types

    def leave_object_value(self, node, *_):
        kind = graphql.get_named_type(self.types.get_input_type())
        if not getattr(kind, "is_one_of", False):
            return None
        given = [field for field in node.fields if not isinstance(field.value, graphql.NullValueNode)]
        return graphql.ObjectValueNode(fields=tuple(given[:1]))

    def leave_field(self, node, *_):
        given = {one.name.value: one for one in node.arguments or ()}
        unwanted = {"after", "before"} | ({"last"} if "first" in given else set())
        kept = tuple(one for name, one in given.items() if name not in unwanted)
        return graphql.FieldNode(
            alias=node.alias, name=node.name, arguments=kept, directives=node.directives, selection_set=node.selection_set
        )


@schemathesis.hook
def before_call(context, case, kwargs):
    # Which ones hangs on the question alone, so that one that fails comes again.
    if zlib.crc32(case.body.encode()) % 2:
        types = graphql.TypeInfo(SCHEMA)
        document = graphql.parse(case.body)
        case.body = graphql.print_ast(graphql.visit(document, graphql.TypeInfoVisitor(types, Mended(types))))


@schemathesis.check
def orderly(ctx, response, case):
    """No fault of the server: no 5xx, JSON, and every error has one of the codes that an answer may have."""
    assert response.status_code < 500, f"status {response.status_code}"
    body = response.json()
    codes = [error.get("extensions", {}).get("code") for error in body.get("errors", [])]
    unknown = [code for code in codes if code not in CODES]
    assert not unknown, f"errors with the codes {unknown}: {body['errors']}"
    # A change that was made has a position in the log.
    done = [value for value in (body.get("data") or {}).values() if isinstance(value, dict) and value.get("cursor")]
    values = [value for value in (body.get("data") or {}).values() if value is not None]
    refusals = [refusal for value in values if isinstance(value, dict) for refusal in value.get("userErrors") or []]
    with open(os.environ["FUZZ_LOG"], "a", encoding="utf-8") as log:
        line = {
            "field": case.operation.label,
            "data": bool(values),
            "done": bool(done),
            "codes": codes,
            "refusals": [refusal.get("code", "unnamed") for refusal in refusals],
        }
        log.write(json.dumps(line) + "\n")
