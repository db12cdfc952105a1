// The client library graphql-ws: a query and a mutation over its socket, and a subscription that is left and resumed.
import { listening, pause, socketOf } from "./lib/listen.mjs";
import { playgroundSession, startDemo } from "./lib/server.mjs";
import { check, finish, same } from "./lib/tap.mjs";
import { walker } from "./lib/walk.mjs";

const demo = await startDemo();
try {
  await resumed(demo.url, await playgroundSession(demo.url));
} catch (error) {
  check("the program runs to its end", false, String(error));
} finally {
  await demo.stop();
}
finish();

/// A client of one person, and what it heard.
function listener(url, token) {
  return listening(socketOf(url, token));
}

async function resumed(url, session) {
  const walk = walker(url, session);
  const query = `subscription ($after: EventCursor) {
    feedbackRequests(after: $after) { cursor node { item { name } requestedBy { name } } } }`;
  const names = (edges) => edges.map((edge) => edge.node?.item.name ?? edge);

  const ann = listener(url, walk.tokenOf("ann"));
  const templates = await ann.once("{ templates(itemType: GOVERNED_PROJECT) { nodes { id name } } }");
  same("a query over the socket", templates.data.templates.nodes.map((template) => template.name), ["Standard"]);
  await walk.through("StartReview");

  const bea = listener(url, walk.tokenOf("bea"));
  const eve = listener(url, walk.tokenOf("eve"));
  // From where the log stands, so that it does not matter which is there first, the listener or the request.
  const after = (await walk.ask("aud", "{ timeline(last: 1) { nodes { cursor } } }")).data.timeline.nodes[0].cursor;
  bea.listen(query, { after });
  eve.listen(query, { after });
  await walk.through("RequestFeedback");
  same("the reviewer hears the request", names(await bea.some(1)), ["v1"]);
  same("she hears who asked", bea.heard[0].node.requestedBy.name, "Ann Builder");
  const { cursor } = bea.heard[0];
  bea.client.terminate();

  const made = await ann.once(
    "mutation ($input: CreateGovernedProjectInput!) { createGovernedProject(input: $input) { item { name } userErrors { code } } }",
    { input: { templateId: templates.data.templates.nodes[0].id, name: "Over the socket" } },
  );
  same("a mutation over the socket", made.data.createGovernedProject.item?.name, "Over the socket");

  await walk.through("RequestFinalApproval");
  const returned = listener(url, walk.tokenOf("bea"));
  returned.listen(query, { after: cursor });
  await pause(500);
  same("what was heard is not heard again", names(returned.heard), []);
  await ann.client.dispose();
  await returned.client.dispose();

  same("strangers hear nothing", eve.heard, []);
  await eve.client.dispose();
  const anonymous = listener(url, "not-a-token");
  anonymous.listen(query);
  const [refused] = await anonymous.some(1);
  same("a bad token closes the socket", refused?.code, 4403);
}
