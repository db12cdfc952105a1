// GraphQL over HTTP: the audits of the npm package graphql-http, then what this server refuses beyond them.
import { serverAudits } from "graphql-http";
import { playgroundSession, startDemo } from "./lib/server.mjs";
import { check, finish, same } from "./lib/tap.mjs";

const demo = await startDemo();
try {
  const { people } = await playgroundSession(demo.url);
  await audits(`${demo.url}/graphql`, `Bearer ${people[0].token}`);
  await refusals(`${demo.url}/graphql`, `Bearer ${people[0].token}`);
} catch (error) {
  check("the program runs to its end", false, String(error));
} finally {
  await demo.stop();
}
finish();

async function audits(url, authorization) {
  const fetchFn = (address, options = {}) =>
    fetch(address, { ...options, headers: { ...options.headers, authorization } });
  for (const audit of serverAudits({ url, fetchFn })) {
    const result = await audit.fn();
    check(`audit ${audit.id}: ${audit.name}`, result.status === "ok", result.reason);
  }
}

async function refusals(url, authorization) {
  const accept = "application/graphql-response+json";
  const send = async (body, headers = {}, method = "POST") => {
    const answer = await fetch(url, {
      method,
      headers: { "content-type": "application/json", accept, authorization, ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    const { data, errors } = await answer.json();
    return { status: answer.status, code: errors?.[0]?.extensions?.code, data, errors, headers: answer.headers };
  };
  const refused = async (what, status, code, ...request) => {
    const answer = await send(...request);
    same(what, [answer.status, answer.code, answer.data], [status, code, undefined]);
  };

  const query = "{ __typename }";
  const brackets = (count) => `{ a(x: ${"[".repeat(count)}${"]".repeat(count)}) }`;
  const doubling = Array.from({ length: 30 }, (_, n) => `fragment f${n} on Query { ...f${n + 1} ...f${n + 1} }`);
  const chain = `{ ...f0 } ${doubling.join(" ")} fragment f30 on Query { __typename }`;

  await refused("a form's content type", 415, "BAD_REQUEST", { query }, { "content-type": "text/plain" });
  await refused("another media type in Accept", 406, "BAD_REQUEST", { query }, { accept: "text/html" });
  await refused("a batch", 400, "BAD_REQUEST", [{ query }, { query }]);
  await refused("a body over 256 KiB", 413, "LIMIT_EXCEEDED", { query: query + " ".repeat(256 * 1024) });
  await refused("a document that does not parse", 400, "GRAPHQL_PARSE_FAILED", { query: "{" });
  await refused("2,000 nested lists", 400, "LIMIT_EXCEEDED", { query: brackets(2_000) });
  await refused("2,001 tokens", 400, "LIMIT_EXCEEDED", { query: `{ ${"a ".repeat(1_999)} }` });
  await refused("fragments that double 30 times", 400, "LIMIT_EXCEEDED", { query: chain });
  await refused("fragments in a circle", 400, "GRAPHQL_VALIDATION_FAILED", {
    query: "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
  });
  const at = async (document) => (await send({ query: document })).errors[0].locations;
  same("where a document does not parse", await at("{ a\n  b(: }"), [{ line: 2, column: 5 }]);
  same("where fragments close a circle", await at("{ ...a }\nfragment a on Query { ...a }"), [{ line: 2, column: 23 }]);
  same("which operation asks too much", await at(`{ ${"__typename ".repeat(101)} }`), [{ line: 1, column: 1 }]);
  await refused("a subscription", 400, "BAD_REQUEST", { query: "subscription { __typename }" });

  const typeFor = async (wanted, document = query) => {
    const body = JSON.stringify({ query: document });
    const abort = new AbortController();
    const answer = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", accept: wanted, authorization },
      signal: abort.signal,
      body,
    });
    abort.abort();
    return answer.headers.get("content-type");
  };
  same("JSON is answered where a stream comes behind it", await typeFor(`${accept}, text/event-stream`), accept);
  same("a stream is answered where JSON comes behind it", await typeFor("text/event-stream, application/json;q=0.5"), "text/event-stream");
  const listening = "subscription { events { cursor } }";
  same("a subscription is a stream wherever one is accepted", await typeFor("application/json, text/event-stream", listening), "text/event-stream");

  const mutation = await fetch(`${url}?query=${encodeURIComponent("mutation { __typename }")}`, { headers: { accept } });
  same("a mutation over GET", [mutation.status, mutation.headers.get("allow")], [405, "POST"]);

  const answer = await send({ query: `# ${brackets(100)}\n{ __typename }` });
  check("brackets in a comment are not counted", typeof answer.data?.__typename === "string", answer.data);
  check("an answer names its request", /^[\x21-\x7e]{8,}$/.test(answer.headers.get("x-request-id") ?? ""));
  same("an answer is not cached", answer.headers.get("cache-control"), "no-store");
  same("health", (await fetch(new URL("/healthz", url))).status, 200);
  same("readiness", (await fetch(new URL("/readyz", url))).status, 200);
}
