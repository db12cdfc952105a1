// The client library graphql-sse over server-sent events: a query, a mutation, and a subscription that is left and
// resumed, by the cursor of its last event and by the header that a reconnecting reader sends.
import { createClient } from "graphql-sse";
import { listening, pause } from "./lib/listen.mjs";
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

/// A reader of one person's stream, and what it heard.
function listener(url, token) {
  const headers = { authorization: `Bearer ${token}` };
  const client = createClient({ url: `${url}/graphql`, singleConnection: false, headers, retryAttempts: 0 });
  return listening(client);
}

/// What a plain reader gets until the text that is wanted, or within a while: the status, and the stream's text.
async function read(url, token, query, { headers = {}, method = "POST", wanted } = {}) {
  const address = method === "GET" ? `${url}/graphql?query=${encodeURIComponent(query)}` : `${url}/graphql`;
  const abort = new AbortController();
  const response = await fetch(address, {
    method,
    signal: abort.signal,
    headers: { accept: "text/event-stream", "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
    body: method === "GET" ? undefined : JSON.stringify({ query }),
  });
  let text = "";
  const timer = setTimeout(() => abort.abort(), wanted ? 30_000 : 700);
  try {
    for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (wanted && text.includes(wanted)) abort.abort();
    }
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
  clearTimeout(timer);
  return { status: response.status, type: response.headers.get("content-type"), text };
}

async function resumed(url, session) {
  const walk = walker(url, session);
  const query = `subscription ($after: EventCursor) {
    feedbackRequests(after: $after) { cursor node { item { name } } } }`;
  const names = (edges) => edges.map((edge) => edge.node?.item.name ?? edge);

  const ann = listener(url, walk.tokenOf("ann"));
  const templates = await ann.once("{ templates(itemType: GOVERNED_PROJECT) { nodes { id name } } }");
  same("a query as a stream", templates.data.templates.nodes.map((template) => template.name), ["Standard"]);
  await walk.through("StartReview");
  const bea = listener(url, walk.tokenOf("bea"));
  const earlier = await firstCursor(walk);
  const leave = bea.listen(query, { after: earlier });
  await walk.through("RequestFeedback");
  same("the reviewer hears the request", names(await bea.some(1)), ["v1"]);
  const { cursor } = bea.heard[0];
  leave();

  const made = await ann.once(
    "mutation ($input: CreateGovernedProjectInput!) { createGovernedProject(input: $input) { item { name } userErrors { code } } }",
    { input: { templateId: templates.data.templates.nodes[0].id, name: "As a stream" } },
  );
  same("a mutation as a stream", made.data.createGovernedProject.item?.name, "As a stream");

  const returned = listener(url, walk.tokenOf("bea"));
  const done = returned.listen(query, { after: cursor });
  await pause(500);
  same("what was heard is not heard again", names(returned.heard), []);
  done();

  const plain = "subscription { feedbackRequests { cursor node { item { name } } } }";
  const begin = 'subscription { feedbackRequests(after: "%") { cursor node { item { name } } } }';
  const beaToken = walk.tokenOf("bea");
  const first = await read(url, beaToken, begin.replace("%", earlier), { wanted: "\n\n" });
  check("an event bears its cursor as its id", first.text.includes(`id: ${cursor}`), first);
  same("the stream is one", [first.status, first.type], [200, "text/event-stream"]);
  const again = await read(url, beaToken, begin.replace("%", earlier), { headers: { "last-event-id": cursor } });
  check("Last-Event-ID goes on behind it", !again.text.includes("v1"), again);
  const behind = await read(url, beaToken, plain, { headers: { "last-event-id": earlier }, wanted: "v1" });
  check("also where the operation names no position", behind.text.includes("v1"), behind);

  const whole = await read(url, beaToken, "{ __typename }", { wanted: "event: complete\n\n" });
  check("a query ends with complete", /event: next\ndata: .*\n\nevent: complete\n/.test(whole.text), whole);
  const byGet = await read(url, beaToken, "{ __typename }", { method: "GET", wanted: "event: complete" });
  check("a query by GET too", byGet.text.includes("event: complete"), byGet);
  const mutation = "mutation { signOut { userErrors { code } } }";
  same("a mutation by GET is refused", (await read(url, beaToken, mutation, { method: "GET" })).status, 405);
  same("a bad token is refused", (await read(url, "not-a-token", plain)).status, 401);
  same("a document that does not parse is refused", (await read(url, beaToken, "{")).status, 400);
}

/// The position before everything.
async function firstCursor(walk) {
  const answer = await walk.ask("aud", "{ timeline(last: 1) { nodes { cursor } } }");
  return answer.data.timeline.nodes[0].cursor;
}
