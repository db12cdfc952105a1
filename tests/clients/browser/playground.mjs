// The playground in Debian's Chromium: it opens from this server alone, shows the demo's tabs and people, runs a
// query and hears a subscription, and neither asks another server nor breaks its content security policy.
import { chromium } from "playwright-core";
import { startDemo } from "../lib/server.mjs";
import { check, finish, same } from "../lib/tap.mjs";
import { nameOf, walker } from "../lib/walk.mjs";

const demo = await startDemo();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
  ],
});
try {
  await playground(demo.url);
} catch (error) {
  check("the playground can be used to the end", false, String(error));
} finally {
  await browser.close();
  await demo.stop();
}
finish();

async function playground(url) {
  const page = await (await browser.newContext({ viewport: { width: 1500, height: 900 } })).newPage();
  page.setDefaultTimeout(15_000);
  const outside = [];
  const complaints = [];
  const origin = new URL(url).host;
  const local = (address) => address.startsWith("data:") || new URL(address).host === origin;
  page.on("request", (request) => local(request.url()) || outside.push(request.url()));
  page.on("websocket", (socket) => local(socket.url()) || outside.push(socket.url()));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
  });

  const session = await (await fetch(`${url}/playground/session.json`)).json();
  await page.goto(`${url}/playground`);
  await page.waitForSelector(".graphiql-container");
  same("there is a tab for each step", await page.locator(".graphiql-tab").count(), session.tabs.length);
  const hats = page.locator("#bar button");
  same("there is a button for each person", await hats.allTextContents(), session.people.map((person) => person.handle));

  const step = page.locator("#bar select");
  const run = page.locator(".graphiql-execute-button");
  const answer = () => page.evaluate(() => document.querySelector(".result-window .CodeMirror").CodeMirror.getValue());
  const headers = () => page.evaluate(() => document.querySelectorAll(".graphiql-editor-tool .CodeMirror")[1].CodeMirror.getValue());
  const answered = async (wanted) => {
    const parses = async () => {
      try {
        return JSON.parse(await answer());
      } catch {
        return null;
      }
    };
    let last = null;
    for (let tries = 0; tries < 100 && !(last && wanted(last)); tries += 1) {
      await page.waitForTimeout(100);
      last = await parses();
    }
    return last;
  };
  const open = async (kind) => {
    const index = session.tabs.findIndex((tab) => tab.query.trimStart().startsWith(kind));
    await step.selectOption(String(index));
    await page.waitForTimeout(1_000);
    return session.tabs[index];
  };
  const tokenOf = (handle) => session.people.find((person) => person.handle === handle).token;

  const query = await open("query");
  check("a tab's headers hold its person's token", (await headers()).includes(tokenOf(query.as)), await headers());
  const other = session.people.find((person) => person.handle !== query.as);
  await page.locator("#bar button", { hasText: other.handle }).first().click();
  check("a click on a person changes the token", (await headers()).includes(other.token), await headers());
  // The editors tell the page of a change half a second after it.
  await page.waitForTimeout(1_000);
  const pressed = page.locator('#bar button[aria-pressed="true"]');
  same("the person in use is marked", await pressed.allTextContents(), [other.handle]);
  await page.locator("#bar button", { hasText: query.as }).first().click();
  await run.click();
  const found = await answered((body) => "data" in body);
  check("a query is answered", found?.data && !found.errors, found);

  // What one step answered stands in the variables of the next: here an answer that the server never gave.
  const project = session.tabs.findIndex((tab) => nameOf(tab.query) === "CreateProject");
  await page.route("**/graphql", (route) => route.fulfill({
    contentType: "application/json",
    body: JSON.stringify({ data: { templates: { nodes: [{ id: "from-the-answer" }] } } }),
  }));
  await step.selectOption(String(session.tabs.findIndex((tab) => nameOf(tab.query) === "ListTemplates")));
  await page.waitForTimeout(1_000);
  await run.click();
  await answered((body) => JSON.stringify(body).includes("from-the-answer"));
  await page.unroute("**/graphql");
  await step.selectOption(String(project));
  await page.waitForTimeout(1_000);
  const variables = () => page.evaluate(() => document.querySelectorAll(".graphiql-editor-tool .CodeMirror")[0].CodeMirror.getValue());
  same("a step takes what another one answered", JSON.parse(await variables()).input?.templateId, "from-the-answer");

  // Others go on while the subscription runs here: it hears of the request that is made now, and of no other.
  const walk = walker(url, session);
  await walk.through("StartReview");
  const listening = await open("subscription");
  same("the first subscription is the reviewer's", nameOf(listening.query), "FeedbackRequests");
  await run.click();
  await page.waitForTimeout(1_000);
  const asked = await walk.through("RequestFeedback");
  same("feedback is requested", asked.data?.requestFeedback?.userErrors, []);
  const heard = await answered((body) => body.data?.feedbackRequests);
  same("a subscription hears it", heard?.data?.feedbackRequests?.node?.item?.name, "v1");

  await page.locator('[aria-label="Open settings dialog"]').click();
  await page.waitForSelector('[role="dialog"]');
  await page.keyboard.press("Escape");
  await page.locator('[aria-label="Show Documentation Explorer"]').click();
  await page.waitForSelector(".graphiql-doc-explorer-content");
  check("the schema is shown", (await page.locator(".graphiql-doc-explorer-content").innerText()).includes("query"));
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });

  const violations = await page.evaluate(() => window.violations);
  await page.goto(`${url}/set-password?token=one-time`);
  await page.waitForSelector("#form");
  same("the link's token leaves the address", new URL(page.url()).search, "");

  same("no request left the server", outside, []);
  same("the content security policy was kept", [...violations, ...(await page.evaluate(() => window.violations))], []);
  same("the browser had nothing to complain about", complaints, []);
}
