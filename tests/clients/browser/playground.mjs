// The demo's playground in Debian's Chromium: it opens from this server alone, shows the tabs and people, runs a query
// and hears a subscription, in a wide window, a narrow one, in the dark and by keyboard.
import { editors, eventually, fits, picture, startBrowser, watchedPage } from "../lib/browser.mjs";
import { playgroundSession, startDemo } from "../lib/server.mjs";
import { check, finish, same } from "../lib/tap.mjs";
import { nameOf, walker } from "../lib/walk.mjs";

const demo = await startDemo();
const browser = await startBrowser();
try {
  await playground(demo.url, await playgroundSession(demo.url));
  await elsewhere(demo.url);
} catch (error) {
  check("the playground can be used to the end", false, String(error.stack));
} finally {
  await browser.close();
  await demo.stop();
}
finish();

async function playground(url, session) {
  const { page, reproachless } = await watchedPage(browser, url);
  const askedAs = [];
  page.on("request", async (request) => {
    if (request.postData()?.includes("IntrospectionQuery")) askedAs.push(await request.headerValue("authorization"));
  });
  await page.goto(`${url}/playground`);
  await page.waitForSelector(".graphiql-container");
  same("there is a tab for each step", await page.locator(".graphiql-tab").count(), session.tabs.length);
  const hats = page.locator("#bar .people button");
  same("there is a button for each person", await hats.allTextContents(), session.people.map((person) => person.handle));
  await eventually(() => askedAs.length, (count) => count > 0);
  check("the schema is asked for by somebody", askedAs.length > 0 && askedAs.every((credential) => credential?.startsWith("Bearer ")), askedAs);

  const step = page.locator("#bar select");
  const run = page.locator(".graphiql-execute-button");
  const { variables, headers, answered, settled } = editors(page);
  const tokenOf = (handle) => session.people.find((person) => person.handle === handle).token;
  const tabOf = (wanted) => session.tabs.findIndex(({ query }) => wanted(query));
  const open = async (index) => {
    await step.selectOption(String(index));
    await eventually(headers, (text) => text.includes(tokenOf(session.tabs[index].as)));
    await settled(nameOf(session.tabs[index].query));
    return session.tabs[index];
  };

  const index = tabOf((query) => query.startsWith("query"));
  const query = await open(index);
  check("a tab's headers hold its person's token", (await headers()).includes(tokenOf(query.as)), await headers());
  const worn = [];
  for (const person of session.people) {
    await hats.getByText(person.handle, { exact: true }).click();
    if ((await headers()).includes(person.token)) worn.push(person.handle);
  }
  same("each person is one click away", worn, session.people.map((person) => person.handle));
  const last = session.people.at(-1).handle;
  const pressed = page.locator('#bar button[aria-pressed="true"]');
  same("the person in use is marked", await eventually(() => pressed.allTextContents(), ([name]) => name === last), [last]);
  await hats.getByText(query.as, { exact: true }).click();
  await run.click();
  const found = await answered((body) => "data" in body);
  check("a query is answered", found?.data && !found.errors, found);

  // What one step answered stands in the variables of the next: here an answer that the server never gave.
  await page.route("**/graphql", (route) => route.fulfill({
    contentType: "application/json",
    body: JSON.stringify({ data: { templates: { nodes: [{ id: "from-the-answer" }] } } }),
  }));
  await open(tabOf((query) => nameOf(query) === "ListTemplates"));
  await run.click();
  await answered((body) => JSON.stringify(body).includes("from-the-answer"));
  await page.unroute("**/graphql");
  await open(tabOf((query) => nameOf(query) === "CreateProject"));
  const taken = await eventually(variables, (text) => text.includes("from-the-answer"));
  same("a step takes what another one answered", JSON.parse(taken).input?.templateId, "from-the-answer");
  await byKeyboard(page, session, index);

  // Others go on while the subscription runs here: it hears of the request that is made now, and of no other.
  const walk = walker(url, session);
  await walk.through("StartReview");
  const listening = await open(tabOf((query) => query.startsWith("subscription")));
  same("the first subscription is the reviewer's", nameOf(listening.query), "FeedbackRequests");
  await run.click();
  // It begins when the server has it, which nobody is told: whoever was too early asks for feedback on another item.
  let heard = null;
  for (const [request, name, wait] of [["RequestFeedback", "v1", 1_500], ["RequestFeedbackOnV2", "v2", 10_000]]) {
    await page.waitForTimeout(wait);
    const asked = await walk.through(request);
    same(`feedback is requested on ${name}`, asked.data?.requestFeedback?.userErrors, []);
    heard = { ...(await answered((body) => body.data?.feedbackRequests, 10_000)), name };
    if (heard.data) break;
  }
  same("a subscription hears it", heard.data?.feedbackRequests?.node?.item?.name, heard.name);
  await picture(page, "playground");

  await page.locator('[aria-label="Open settings dialog"]').click();
  await page.waitForSelector('[role="dialog"]');
  await page.keyboard.press("Escape");
  await page.locator('[aria-label="Show Documentation Explorer"]').click();
  await page.waitForSelector(".graphiql-doc-explorer-content");
  check("the schema is shown", (await page.locator(".graphiql-doc-explorer-content").innerText()).includes("query"));
  await fits(page, "wide");
  reproachless("wide");
}

/// From step to step, to a person and to the answer without a mouse.
async function byKeyboard(page, session, index) {
  const select = page.locator("#bar select");
  const { headers, answered, settled } = editors(page);
  await select.selectOption(String(index - 1));
  await select.focus();
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  same("behind the steps comes the next one", await focused(), "Next");
  await page.keyboard.press("Enter");
  same("it opens the next tab", await eventually(() => select.inputValue(), (value) => value === String(index)), String(index));
  await page.keyboard.press("Tab");
  same("then come the people", await focused(), session.people[0].handle);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  check("where one is can be seen", outline !== "none", outline);
  await page.locator("#bar .people button").getByText(session.tabs[index].as, { exact: true }).focus();
  await page.keyboard.press("Space");
  await eventually(headers, (text) => text.includes(session.people.find(({ handle }) => handle === session.tabs[index].as).token));
  await settled(nameOf(session.tabs[index].query));
  await page.locator(".graphiql-query-editor textarea").focus();
  await page.keyboard.press("Control+Enter");
  const found = await answered((body) => body.data && !body.errors);
  check("the editor's keys run it", found?.data && !found.errors, found);
}

/// A narrow window, in the dark.
async function elsewhere(url) {
  const { page, reproachless } = await watchedPage(browser, url, { viewport: { width: 420, height: 800 }, colorScheme: "dark" });
  await page.goto(`${url}/playground`);
  await page.waitForSelector(".graphiql-query-editor .CodeMirror");
  await page.locator(".graphiql-execute-button").click();
  const { answered } = editors(page);
  await answered((body) => "data" in body);
  await fits(page, "narrow");
  const [question, answer] = [
    await page.locator(".graphiql-editors").boundingBox(),
    await page.locator(".graphiql-response").boundingBox(),
  ];
  check("narrow: the answer stands below the question", answer.y >= question.y + question.height, [question, answer]);
  check("narrow: both have room", Math.min(question.width, answer.width) > 300 && Math.min(question.height, answer.height) > 150, [question, answer]);
  const light = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).slice(0, 3).map(Number));
  check("in the dark the page is dark", Math.max(...light) < 100, light);
  await picture(page, "playground-narrow-dark");
  reproachless("narrow");
}
