// A proxy in front of the server, configured as docs/operations.md says: its examples are read from there and given this
// machine's ports and files, so that what an administrator copies is what was seen to work.
import { createClient } from "graphql-ws";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:https";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";
import { pause } from "./listen.mjs";
import { startDemo } from "./server.mjs";
import { check, finish, same } from "./tap.mjs";

export const NAME = "governance.example.org";
/// Where the caller asks from: not where the proxy does.
const CALLER = "127.0.0.2";

/// Starts the server and a proxy in front of it, asks through it, and ends both. `prepare` is given the folder, the
/// server's address and a free port, and answers the command, its environment, and how the certificate's issuer is read.
export async function throughProxy(prepare) {
  // Whoever waits for what a proxy swallowed would wait for ever.
  setTimeout(() => {
    check("it ends within a minute", false);
    finish();
    process.exit();
  }, 60_000).unref();

  const folder = await mkdtemp(join(tmpdir(), "countersign-proxy-"));
  const demo = await startDemo(["--trusted-proxy", "127.0.0.1", "--log", "info", "--log-format", "json"]);
  let proxy;
  try {
    proxy = await startProxy((chosen) => prepare(folder, new URL(demo.url).host, chosen));
    await asked(demo, proxy);
  } catch (error) {
    check("the program runs to its end", false, String(error.stack));
  } finally {
    proxy?.process.kill("SIGTERM");
    await demo.stop();
    await rm(folder, { recursive: true, force: true });
  }
  finish();
}

/// The documentation's example in this language, with these words for others, each of which stands in it.
export async function example(language, changes) {
  const text = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
  const [, found] = text.match(new RegExp("```" + language + "\\n(.*?)```", "s"));
  return changes.reduce((whole, [from, to]) => {
    if (!whole.includes(from)) throw new Error(`the example of docs/operations.md does not say ${from}`);
    return whole.replace(from, to);
  }, found);
}

async function startProxy(prepare) {
  // Somebody else may take the port first: then it is another one.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const chosen = await port();
    const { command, environment, issuer } = await prepare(chosen);
    const [program, ...words] = command;
    const env = { ...process.env, ...environment };
    const started = spawn(program, words, { env, stdio: ["ignore", "ignore", "inherit"] });
    // It must not outlive this program, however that ends.
    process.on("exit", () => started.kill("SIGTERM"));
    const ended = once(started, "exit").then(() => false);
    if (await Promise.race([isListening(chosen), ended])) return { process: started, port: chosen, ca: await issuer() };
    started.kill("SIGKILL");
  }
  throw new Error("the proxy did not start");
}

/// A port that was free a moment ago.
async function port() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

async function isListening(port) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const socket = connect(port, "127.0.0.1");
    const is = await once(socket, "connect").then(() => true, () => false);
    socket.destroy();
    if (is) return true;
    await pause(50);
  }
  return false;
}

/// Asks through the proxy; answers status, headers and text, or the stream itself.
function ask({ port, ca }, body, headers, wanted) {
  const all = { host: NAME, "content-type": "application/json", "x-forwarded-for": "203.0.113.9", ...headers };
  const options = { host: "127.0.0.1", localAddress: CALLER, port, ca, servername: NAME, method: "POST", path: "/graphql" };
  return new Promise((resolve, reject) => {
    const asked = request({ ...options, headers: all }, (answer) => {
      let text = "";
      const done = () => resolve({ status: answer.statusCode, headers: answer.headers, text });
      answer.on("data", (part) => {
        text += part;
        if (wanted && text.includes(wanted)) (done(), asked.destroy());
      });
      answer.on("end", done).on("error", reject);
    });
    asked.on("error", reject);
    asked.end(JSON.stringify(body));
  });
}

/// A subscription over a socket: what it hears, and how it is closed.
function listen({ port, ca }, token, query) {
  class Trusting extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, { ca, servername: NAME, headers: { host: NAME, origin: `https://${NAME}` } });
    }
  }
  const [opened, told, closed] = [resolvers(), resolvers(), resolvers()];
  const on = { connected: () => opened.resolve(), closed: (event) => closed.resolve([event.code, event.reason]) };
  const connectionParams = { authorization: `Bearer ${token}` };
  // That it is closed is what is waited for.
  const onNonLazyError = () => {};
  const url = `wss://127.0.0.1:${port}/graphql`;
  const client = createClient({ url, webSocketImpl: Trusting, connectionParams, retryAttempts: 0, lazy: false, on, onNonLazyError });
  client.subscribe({ query }, { next: told.resolve, error: () => {}, complete: () => {} });
  return { opened: opened.promise, told: told.promise, closed: closed.promise };
}

function resolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

async function asked(demo, proxy) {
  const { people } = demo.organisations.acme;
  const headers = { authorization: `Bearer ${people.admin.token ?? people.admin}` };
  const token = headers.authorization.slice("Bearer ".length);

  const answered = await ask(proxy, { query: "{ viewer { user { name } } }" }, headers);
  same("a query is answered", [answered.status, JSON.parse(answered.text).data], [200, { viewer: { user: { name: "Ada Admin" } } }]);
  same("browsers are told to come back over TLS, once", answered.headers["strict-transport-security"], "max-age=31536000");
  const told = () => demo.logged.find((line) => line.includes('"viewer"'));
  // The log comes on a way of its own.
  for (let attempt = 0; attempt < 200 && !told(); attempt += 1) await pause(50);
  check("the server knows the caller's address, and no forged one", told()?.includes(`"${CALLER}"`), told());

  const query = "subscription { events { cursor node { __typename } } }";
  const socket = listen(proxy, token, query);
  await socket.opened;
  const stream = ask(proxy, { query }, { ...headers, accept: "text/event-stream" }, "TimelineEvent");
  // Both begin at the newest event: groups are made until both have heard of one.
  const both = Promise.all([stream, socket.told]);
  let isHeard = false;
  both.then(() => (isHeard = true)).catch(() => (isHeard = true));
  for (let n = 0; n < 100 && !isHeard; n += 1) {
    const mutation = `mutation { createGroup(input: { name: "Proxied ${n}" }) { userErrors { code } } }`;
    const made = await ask(proxy, { query: mutation }, headers);
    if (n === 0) same("a mutation is done", JSON.parse(made.text).data, { createGroup: { userErrors: [] } });
    await pause(100);
  }
  check("a socket and an event stream are told of it at once", isHeard);
  const [streamed, heard] = await both;
  same("the stream is one", [streamed.status, streamed.headers["content-type"]], [200, "text/event-stream"]);
  same("the socket's event is one", heard.data.events.node.__typename, "TimelineEvent");

  const large = { query: "{ viewer { user { name } } }", variables: { of: "a".repeat(300_000) } };
  const refused = await ask(proxy, large, headers);
  const code = refused.status === 413 ? JSON.parse(refused.text).errors[0].extensions.code : refused.text;
  same("what is too large is the server's to refuse", [refused.status, code], [413, "LIMIT_EXCEEDED"]);

  demo.terminate();
  same("a stop is told through the proxy", await socket.closed, [1012, "The server is restarting"]);
}
