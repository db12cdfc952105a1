// Debian's Chromium, and what it must never have to say: that a page asked another machine, or broke its content security
// policy, or complained.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { check, same } from "./tap.mjs";

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/// Opens a window that is watched; `reproachless` checks what was seen, of every page that was open in it.
export async function watchedPage(browser, url, options) {
  const page = await (await browser.newContext({ viewport: { width: 1500, height: 900 }, ...options })).newPage();
  page.setDefaultTimeout(30_000);
  const outside = [];
  const complaints = [];
  const violations = [];
  const origin = new URL(url).host;
  const local = (address) => address.startsWith("data:") || new URL(address).host === origin;
  let requests = 0;
  page.on("request", (request) => {
    requests += 1;
    if (!local(request.url())) outside.push(request.url());
  });
  page.on("websocket", (socket) => local(socket.url()) || outside.push(socket.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.exposeFunction("violated", (violation) => violations.push(violation));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violated(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
  });
  const reproachless = (where) => {
    same(`${where}: no request left the server`, [outside, requests > 0], [[], true]);
    same(`${where}: the content security policy was kept`, violations, []);
    same(`${where}: the browser had nothing to complain about`, complaints, []);
  };
  return { page, reproachless };
}

/// Keeps a picture among what the build leaves, for whoever wants to look.
export async function picture(page, name) {
  const folder = process.env.ARTEFACTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path });
  console.log(`# picture: ${path}`);
}

/// Nothing stands beside the window: one scrolls down at most.
export async function fits(page, where) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  check(`${where}: nothing stands beside the window`, wide <= window, [wide, window]);
}

/// Until the page holds it, at most half a minute; answers what it held last.
export async function eventually(ask, wanted, milliseconds = 30_000) {
  let last;
  for (let tries = 0; tries < milliseconds / 100; tries += 1) {
    last = await ask();
    if (wanted(last)) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return last;
}

/// What GraphiQL's editors hold: of variables and headers, and of the answer.
export function editors(page) {
  const tool = (index) => () =>
    page.evaluate((index) => document.querySelectorAll(".graphiql-editor-tool .CodeMirror")[index].CodeMirror.getValue(), index);
  const answer = () => page.evaluate(() => document.querySelector(".result-window .CodeMirror").CodeMirror.getValue());
  const answered = (wanted, milliseconds) => {
    const parsed = async () => {
      try {
        return JSON.parse(await answer());
      } catch {
        return null;
      }
    };
    return eventually(parsed, (body) => body !== null && wanted(body), milliseconds);
  };
  // The editor knows a moment after the text changed which operation stands in it.
  const operation = () => page.evaluate(() => document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror.operationName);
  const settled = (name) => eventually(operation, (found) => found === name);
  return { variables: tool(0), headers: tool(1), answered, settled };
}
