// The first minutes of a real server in Debian's Chromium: the one-time link sets a password, and the playground signs in
// with it and shows the schema.
import { editors, eventually, fits, picture, startBrowser, watchedPage } from "../lib/browser.mjs";
import { startServer } from "../lib/server.mjs";
import { check, finish, same } from "../lib/tap.mjs";

const PASSWORD = "correct horse battery staple";
const server = await startServer();
const browser = await startBrowser();
try {
  const link = server.links.find(({ organisation }) => organisation === "default");
  await passwordSet(server.url, link);
  await signedIn(server.url, link);
} catch (error) {
  check("the pages can be used to the end", false, String(error.stack));
} finally {
  await browser.close();
  await server.stop();
}
finish();

async function passwordSet(url, link) {
  const { page, reproachless } = await watchedPage(browser, url, { viewport: { width: 600, height: 700 } });
  await page.goto(link.setPassword);
  const outcome = page.locator("#outcome");
  const [password, repeated, send] = ["#password", "#repeated", "button"].map((part) => page.locator(part));
  same("the link's token leaves the address", new URL(page.url()).search, "");
  same("one can write at once", await page.evaluate(() => document.activeElement.id), "password");
  await password.fill("short");
  await repeated.fill("short");
  await send.click();
  check("the browser says that it is too short", await password.evaluate((input) => input.validity.tooShort || !input.validity.valid));
  await password.fill(PASSWORD);
  await repeated.fill(`${PASSWORD}!`);
  await send.click();
  same("two that differ are told", await outcome.textContent(), "The two passwords differ.");
  await picture(page, "set-password");
  await repeated.fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.locator("#onward a").waitFor();
  check("it is set", (await outcome.textContent()).startsWith("Your password is set."), await outcome.textContent());

  await page.goto(link.setPassword);
  await password.fill(PASSWORD);
  await repeated.fill(PASSWORD);
  await send.click();
  const told = await eventually(() => outcome.textContent(), (text) => text.includes("link"));
  check("the link works once", told.includes("was used already"), told);
  await fits(page, "the password's page");
  reproachless("the password's page");
}

async function signedIn(url, link) {
  const { page, reproachless } = await watchedPage(browser, url);
  await page.goto(`${url}/playground`);
  await page.waitForSelector(".graphiql-query-editor .CodeMirror");
  await page.locator("#bar .hint").waitFor();
  const { variables, headers, answered, settled } = editors(page);
  const input = { input: { organisation: link.organisation, email: link.email, password: PASSWORD } };
  await page.locator(".graphiql-editor-tools button").getByText("Variables").click();
  await page.evaluate((text) => document.querySelector(".graphiql-editor-tool .CodeMirror").CodeMirror.setValue(text), JSON.stringify(input));
  await eventually(variables, (text) => text.includes(PASSWORD));
  await settled("SignIn");
  await page.locator(".graphiql-execute-button").click();
  const answer = await answered((body) => body.data?.signIn);
  const token = answer.data?.signIn?.accessToken;
  check("signing in answers a token", typeof token === "string", answer);
  const held = await eventually(headers, (text) => text.includes(`Bearer ${token}`));
  check("the token goes into the headers by itself", held.includes(`Bearer ${token}`), held);
  same("and the hint goes", await eventually(() => page.locator("#bar .hint").count(), (count) => count === 0), 0);

  await page.evaluate(() => document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror.setValue("query Me { viewer { user { email } } }"));
  await settled("Me");
  await page.locator(".graphiql-execute-button").click();
  const viewer = await answered((body) => body.data?.viewer);
  same("from then on one asks as oneself", viewer.data?.viewer?.user?.email, link.email);
  await page.locator('[aria-label="Show Documentation Explorer"]').click();
  const shown = page.locator(".graphiql-doc-explorer-content");
  check("the schema is shown", (await eventually(() => shown.innerText(), (text) => text.includes("Mutation"))).includes("Mutation"));
  reproachless("the playground");
}
