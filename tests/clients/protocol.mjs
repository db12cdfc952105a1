// graphql-transport-ws, message by message: what each side may say when, and the close code for what it may not.
import { WebSocket } from "ws";
import { playgroundSession, startDemo } from "./lib/server.mjs";
import { check, finish, same } from "./lib/tap.mjs";

const demo = await startDemo();
let stopped = false;
try {
  await cases(await playgroundSession(demo.url));
} catch (error) {
  check("the program runs to its end", false, String(error));
} finally {
  if (!stopped) await demo.stop();
}
finish();

/// Opens a socket, says the messages and collects what comes back until the socket closes or `count` answers came.
function talk(messages, { count = Infinity, protocol = "graphql-transport-ws", headers = {}, wait = 6_000 } = {}) {
  return new Promise((resolve) => {
    const heard = [];
    const socket = new WebSocket(demo.url.replace(/^http/, "ws") + "/graphql", protocol, { headers });
    const end = (last) => {
      clearTimeout(timer);
      resolve(last === undefined ? heard : [...heard, last]);
      socket.terminate();
    };
    const timer = setTimeout(() => end("silence"), wait);
    socket.on("open", () => messages.forEach((message) => socket.send(encode(message))));
    socket.on("message", (data) => {
      heard.push(JSON.parse(data));
      if (heard.length === count) end();
    });
    socket.on("close", (code) => end(code));
    socket.on("unexpected-response", (_, response) => end(`HTTP ${response.statusCode}`));
    socket.on("error", (error) => end(error.message));
  });
}

function encode(message) {
  return typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message);
}

function types(heard) {
  return heard.map((message) => message.type ?? message);
}

async function cases({ people, tabs }) {
  const payload = { authorization: `Bearer ${people[0].token}` };
  const init = { type: "connection_init", payload };
  const start = (id, query, variables) => ({ type: "subscribe", id, payload: { query, variables } });
  const listening = tabs.find((tab) => tab.query.trimStart().startsWith("subscription"));
  const listen = (id) => start(id, listening.query, listening.variables);
  const typename = start("1", "{ __typename }");

  same("text that is not JSON", await talk(["{"]), [4400]);
  same("an unknown type", await talk([{ type: "hello" }]), [4400]);
  same("a binary message", await talk([Buffer.from(JSON.stringify(init))]), [4400]);
  same("an operation before the acknowledgement", await talk([typename]), [4401]);
  same("a bad token", await talk([{ ...init, payload: { authorization: "Bearer not-a-token" } }]), [4403]);
  same("no introduction within 3 s", await talk([]), [4408]);
  same("two introductions", types(await talk([init, init])), ["connection_ack", 4429]);
  same("one id twice", types(await talk([init, listen("1"), listen("1")])), ["connection_ack", 4409]);
  same("no subprotocol", await talk([init], { protocol: [] }), [4406]);
  same("a page of another origin", await talk([init], { headers: { origin: "https://example.org" } }), ["HTTP 403"]);
  same("a page of this origin", types(await talk([init], { count: 1, headers: { origin: demo.url } })), ["connection_ack"]);
  same("a message over 256 KiB", types(await talk([init, "x".repeat(300_000)])), ["connection_ack", 1009]);
  same("a ping", types(await talk([init, { type: "ping" }], { count: 2 })), ["connection_ack", "pong"]);
  same("a query", types(await talk([init, typename], { count: 3 })), ["connection_ack", "next", "complete"]);
  same("the credential in the header", types(await talk([{ type: "connection_init" }, typename], {
    count: 3,
    headers: payload,
  })), ["connection_ack", "next", "complete"]);
  for (const [what, query] of [["does not parse", "{"], ["does not validate", "{ nothingOfThisName }"]]) {
    const heard = await talk([init, start("1", query)], { wait: 1_000 });
    same(`a document that ${what} hears one error`, types(heard), ["connection_ack", "error", "silence"]);
  }
  const many = Array.from({ length: 51 }, (_, n) => listen(`${n}`));
  const over = await talk([init, ...many], { wait: 2_000 });
  const refused = over.filter((message) => message.type === "error");
  same("the 51st operation of a socket", refused.map((message) => message.id), ["50"]);
  const again = await talk([init, listen("1"), { type: "complete", id: "1" }, start("1", "{ __typename }")], { count: 3 });
  same("an id is free again once completed", types(again), ["connection_ack", "next", "complete"]);

  const waiting = talk([init, { ...listen("1") }], { wait: 30_000 });
  setTimeout(() => {
    stopped = true;
    demo.stop();
  }, 500);
  same("the server stops", (await waiting).at(-1), 1012);
}
