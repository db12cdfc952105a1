// Starts the built server on a free port, with a data directory of its own, and ends it by its process.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/// Answers what `demo --json` printed (`url` and the credentials), `stop`, `terminate`, which only asks it to, and what
/// it has `logged`.
export function startDemo(flags = []) {
  return start("demo", flags);
}

/// Answers what `serve --json` printed at its first start (`url` and the links that set passwords), and `stop`.
export function startServer() {
  return start("serve");
}

async function start(command, flags = []) {
  const binary = process.env.COUNTERSIGN;
  if (!binary) throw new Error("COUNTERSIGN must name the server's binary");
  const folder = await mkdtemp(join(tmpdir(), "countersign-client-"));
  const words = ["--listen", "127.0.0.1:0", "--json", "--data-dir", join(folder, "data"), ...flags];
  const server = spawn(binary, [command, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  const logged = [];
  createInterface({ input: server.stderr }).on("line", (line) => {
    logged.push(line);
    // What a server logs by itself is worth a look; what it was asked to log is its program's.
    if (flags.length === 0) console.error(line);
  });
  const exited = once(server, "exit");
  // A program that fails in a callback ends at once; its server must not outlive it.
  process.on("exit", () => server.kill("SIGKILL"));
  const stop = async () => {
    server.kill("SIGTERM");
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  const first = once(createInterface({ input: server.stdout }), "line").then(([line]) => line);
  const line = await Promise.race([first, exited.then(() => null)]);
  if (line === null) throw new Error("the server ended before it was up");
  return { ...JSON.parse(line), stop, logged, terminate: () => server.kill("SIGTERM") };
}

/// What the demo's playground opens with: people with their tokens, and a tab for each step.
export async function playgroundSession(url) {
  return (await fetch(`${url}/playground/session.json`)).json();
}
