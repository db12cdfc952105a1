"""schemathesis asks every root field what its schema allows, of a server full of real objects: as nobody, as somebody who
builds, and as an administrator, round after round for a minute. No 5xx, no fault, no hang. The first seed is fixed and each
round has the next, so that a failure comes again: FUZZ_SEED=7 begins with another, FUZZ_SECONDS=600 FUZZ_ROUNDS=50 goes on
for longer."""

import collections
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import graphql

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from lib.programs import check, demo, finish, playground_session, same

SCHEMA = pathlib.Path(__file__).parents[3] / "schema.graphql"
SEED = int(os.environ.get("FUZZ_SEED", "1"))
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
ROUNDS_MAX = int(os.environ.get("FUZZ_ROUNDS", "6"))
# The last step of the walk-through before it deletes what it made.
LAST_STEP = "DeployVersion"
# What ends the session of whoever asks it: it comes last.
ENDS = ["Mutation.endAllSessions", "Mutation.endSession", "Mutation.signOut"]
# Where there are objects, and what stands below them.
CROWD = """{
  apiKeys { nodes { __typename id } } assignmentRules { nodes { __typename id } } deployments { nodes { __typename id } }
  grants { nodes { __typename id } } groups { nodes { __typename id } } infrastructures { nodes { __typename id } }
  roles { nodes { __typename id } } sourceNodes { nodes { __typename id } } templates { nodes { __typename id } }
  sourceObjects { nodes { __typename id } } users { nodes { __typename id } }
  governedItems { nodes { __typename id steps { signOff { __typename id } } } }
  events(first: 100) { nodes { cursor } }
}"""


def ask(url, token, query, variables=None):
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/graphql", body, headers)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        return json.load(refusal)


def objects(value, found):
    """The ids in an answer, by their type."""
    if isinstance(value, dict):
        if "__typename" in value and "id" in value:
            found[value["__typename"]].append(value["id"])
        value = list(value.values())
    for part in value if isinstance(value, list) else []:
        objects(part, found)
    return found


def arguments(schema):
    """Every place in an argument where a scalar stands: `Query.node.id`, with the scalar's name."""
    def within(kind, path, above):
        kind, path = (kind.of_type, path) if isinstance(kind, graphql.GraphQLNonNull) else (kind, path)
        if isinstance(kind, graphql.GraphQLList):
            yield from within(kind.of_type, f"{path}[*]", above)
        elif isinstance(kind, graphql.GraphQLInputObjectType) and kind.name not in above:
            for name, field in kind.fields.items():
                yield from within(field.type, f"{path}.{name}", {*above, kind.name})
        elif isinstance(kind, graphql.GraphQLScalarType):
            yield path, kind.name

    for owner in (schema.query_type, schema.mutation_type):
        for name, field in owner.fields.items():
            for argument, definition in field.args.items():
                yield from within(definition.type, f"{owner.name}.{name}.{argument}", set())


def configuration(schema, found):
    """Where an id is asked, one of the objects that its name means; revisions and page sizes as they are."""
    everything = [one for ids in found.values() for one in ids]
    dictionaries = {"any": everything, "revision": list(range(1, 7)), "size": [0, 1, 2, 25, 100]} | found
    lines = []
    for name, values in dictionaries.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}", ""]
    lines += ["[parameters]"]
    for path, scalar in arguments(schema):
        name = re.sub(r"\[\*\]", "", path.rsplit(".", 1)[-1])
        if scalar == "ID":
            meant = re.sub("Ids?$", "", name).lower()
            kind = next((kind for kind in found if kind.lower().endswith(meant)), "any")
            chosen, probability = kind, 0.9
        elif name == "expectedRevision":
            chosen, probability = "revision", 0.9
        elif name in ("first", "last"):
            chosen, probability = "size", 0.9
        else:
            continue
        lines.append(f'"{path}" = {{ dictionary = "{chosen}", probability = {probability} }}')
    return "\n".join(lines) + "\n"


def fuzz(folder, seed, examples, environment, *more):
    """Runs schemathesis; answers its exit code, its output and what it logged."""
    log = folder / "log"
    log.write_text("")
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", folder / "schemathesis.toml", "run", SCHEMA,
        "--checks", "orderly", "--phases", "fuzzing", "--mode", "positive", "--max-examples", str(examples),
        "--seed", str(seed), "--request-timeout", "60", "--generation-database", "none", "--warnings", "off", "--no-color",
        "--suppress-health-check", "all", *more,
    ]
    lib = pathlib.Path(__file__).parent.parent / "lib"
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "fuzzing", "PYTHONPATH": str(lib), "FUZZ_LOG": str(log), **environment}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    return ran.returncode, ran.stdout + ran.stderr, [json.loads(line) for line in log.read_text().splitlines()]


class Faulty(http.server.BaseHTTPRequestHandler):
    """Answers whatever it is asked with a fault."""

    status, body = 200, {"errors": [{"message": "No.", "extensions": {"code": "INTERNAL"}}]}

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(self.body).encode())

    def log_message(self, *_):
        pass


PEOPLE = {"nobody": 1, "ann": 2, "admin": 6}


def one_round(url, folder, seed, schema, logs, wrong):
    """Asks a server that nobody has asked before, so that what a seed finds hangs on the seed alone."""
    session = playground_session(url)
    tokens = {person["handle"]: person["token"] for person in session["people"]}
    for tab in session["tabs"]:
        if not tab["query"].startswith("subscription"):
            ask(url, tokens[tab["as"]], tab["query"], tab["variables"])
        if re.search(rf"\b{LAST_STEP}\b", tab["query"]):
            break
    crowd = ask(url, tokens["admin"], CROWD)
    if "errors" in crowd:
        raise ValueError(f"there is nothing to ask for: {crowd['errors']}")
    found = objects(crowd["data"], collections.defaultdict(list))
    environment = {"FUZZ_CURSORS": json.dumps([event["cursor"] for event in crowd["data"]["events"]["nodes"]])}
    (folder / "schemathesis.toml").write_text(configuration(schema, found))

    # Whoever may end the others' sessions comes last.
    for name, examples in PEOPLE.items():
        header = ["--header", f"Authorization: Bearer {tokens[name]}"] if name in tokens else []
        for only in ["exclude", "include"] if header else ["all"]:
            if only == "include" and ask(url, tokens[name], "{ viewer { apiKey { id } } }").get("data") != {"viewer": {"apiKey": None}}:
                wrong[name].append(f"FUZZ_SEED={seed}: signed out before the end")
            ends = [part for end in ENDS for part in (f"--{only}-name", end)] if header else []
            code, output, log = fuzz(folder, seed, examples, environment, "--url", f"{url}/graphql", *header, *ends)
            logs[name] += log
            if code != 0:
                wrong[name] += [f"FUZZ_SEED={seed}", *output.splitlines()[-40:]]
    with urllib.request.urlopen(f"{url}/readyz") as ready:
        if ready.status != 200:
            wrong["admin"].append(f"FUZZ_SEED={seed}: the server is not ready any more")
    return environment


def main(folder):
    schema = graphql.build_schema(SCHEMA.read_text())
    fields = {f"{owner.name}.{name}" for owner in (schema.query_type, schema.mutation_type) for name in owner.fields}
    logs, wrong = {name: [] for name in PEOPLE}, {name: [] for name in PEOPLE}
    seed, begun = SEED, time.monotonic()
    # On whatever machine, no seed is asked that was not asked on another.
    while seed == SEED or (time.monotonic() - begun < SECONDS and seed < SEED + ROUNDS_MAX and not any(wrong.values())):
        with demo() as url:
            environment = one_round(url, folder, seed, schema, logs, wrong)
        seed += 1
    for name, log in logs.items():
        tell = lambda part: dict(collections.Counter(one for line in log for one in line[part]))
        data, done = (sum(line[part] for line in log) for part in ("data", "done"))
        print(f"# {name}: {len(log)} answers, {data} with data, {done} changes, {tell('codes')}, refused {tell('refusals')}")
        check(f"as {name}: every answer is in order", not wrong[name], wrong[name])
        same(f"as {name}: every root field was asked", {line["field"] for line in log}, fields)
    check("much of it was answered, and something done", data > len(log) / 4 and done > 10 * (seed - SEED), [data, done])
    print(f"# seeds {SEED} to {seed - 1}, {time.monotonic() - begun:.0f} s")

    faulty = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    threading.Thread(target=faulty.serve_forever, daemon=True).start()
    only = ["--url", f"http://127.0.0.1:{faulty.server_port}/graphql", "--include-name", "Query.viewer"]
    for what, Faulty.status, Faulty.body in [("a fault", 200, Faulty.body), ("a 500", 500, {"data": None}), ("a text", 200, "no JSON object")]:
        code, output, _ = fuzz(folder, SEED, 1, environment, *only)
        check(f"{what} would be found", code == 1 and "orderly" in output.lower(), output.splitlines()[-40:])


with tempfile.TemporaryDirectory(prefix="countersign-fuzz-") as folder:
    try:
        main(pathlib.Path(folder))
    except Exception as error:  # The program's failure is a check that failed.
        check("the program runs to its end", False, repr(error))
finish()
