"""Python's gql: a query and a mutation over HTTP, refusals as data and as errors, and a subscription that is resumed."""

import asyncio

from gql import Client, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from lib.programs import check, demo, finish, playground_session, same


class Walk:
    """The steps of the walk-through, as the people of the playground's tabs."""

    def __init__(self, url):
        self.url = url
        session = playground_session(url)
        self.tokens = {person["handle"]: person["token"] for person in session["people"]}
        self.steps = [tab for tab in session["tabs"] if not tab["query"].startswith("subscription")]

    async def ask(self, person, query, variables=None):
        headers = {"Authorization": f"Bearer {self.tokens[person]}"}
        transport = AIOHTTPTransport(url=f"{self.url}/graphql", headers=headers)
        async with Client(transport=transport) as session:
            return await session.execute(GraphQLRequest(query, variable_values=variables or {}))

    async def through(self, operation):
        """Does every step up to this operation, and this one; answers what it answered."""
        while self.steps:
            step = self.steps.pop(0)
            try:
                answer = await self.ask(step["as"], step["query"], step["variables"])
            except TransportQueryError as error:
                answer = error
            if step["query"].split("(")[0].split("{")[0].split()[1] == operation:
                return answer
        raise RuntimeError(f"there is no step {operation} ahead")

    def listen(self, person):
        transport = WebsocketsTransport(
            url=f"{self.url.replace('http', 'ws', 1)}/graphql",
            init_payload={"authorization": f"Bearer {self.tokens[person]}"},
            subprotocols=["graphql-transport-ws"],
        )
        return Client(transport=transport)


REQUESTS = GraphQLRequest("""
subscription ($after: EventCursor) {
  feedbackRequests(after: $after) { cursor node { item { name } signOff { status } } }
}""")


def after(cursor):
    return GraphQLRequest(REQUESTS.document, variable_values={"after": cursor})


async def heard(subscription, wanted=0):
    """So many edges, however long they take, and what else comes within a moment."""
    edges = []
    while True:
        try:
            seconds = 30 if len(edges) < wanted else 0.5
            edges.append((await asyncio.wait_for(anext(subscription), seconds))["feedbackRequests"])
        except (asyncio.TimeoutError, StopAsyncIteration):
            return edges


async def main(url):
    walk = Walk(url)
    found = await walk.ask("ann", "{ templates(itemType: GOVERNED_PROJECT) { nodes { name } } }")
    same("a query", found, {"templates": {"nodes": [{"name": "Standard"}]}})
    error = await walk.through("CreateProjectAsEve")
    codes = [found["extensions"]["code"] for found in getattr(error, "errors", None) or []]
    same("a missing right is an error with its code", codes, ["FORBIDDEN"])
    refused = await walk.through("CreateNamelessProject")
    codes = [found["code"] for found in refused["createGovernedProject"]["userErrors"]]
    same("a broken rule is data", codes, ["NAME_EMPTY"])
    made = await walk.through("CreateProject")
    same("a mutation", made["createGovernedProject"]["item"]["name"], "AN Governance Lifecycle")

    await walk.through("StartReview")
    async with walk.listen("bea") as session:
        # From where the log stands, so that it does not matter which is there first, the listener or the request.
        log = await walk.ask("aud", "{ timeline(last: 1) { nodes { cursor } } }")
        listening = asyncio.ensure_future(heard(session.subscribe(after(log["timeline"]["nodes"][0]["cursor"])), 1))
        await walk.through("RequestFeedback")
        edges = await listening
        same("a request is heard as it is made, once", [edge["node"]["item"]["name"] for edge in edges], ["v1"])
        edge = edges[0]
        same("it shows the sign-off", edge["node"]["signOff"]["status"], "WAITING_FOR_FEEDBACK")

    # Nobody listens while the second version is reported and reviewed.
    await walk.through("RequestFeedbackOnV2")
    async with walk.listen("bea") as session:
        missed = await heard(session.subscribe(after(edge["cursor"])), 1)
    same("who returns hears what she missed, and only that", [found["node"]["item"]["name"] for found in missed], ["v2"])
    async with walk.listen("bea") as session:
        again = await heard(session.subscribe(after(missed[-1]["cursor"])))
    same("and nothing twice", again, [])


with demo() as url:
    try:
        asyncio.run(main(url))
    except Exception as error:  # The program's failure is a check that failed.
        check("the program runs to its end", False, repr(error))
finish()
