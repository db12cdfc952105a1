// schema.graphql keeps to the recommended and the Relay rules of @graphql-eslint, but for what eslint.config.js excepts.
// Each group of rules is seen to find a breach, made in a copy of the schema.
import { ESLint } from "eslint";
import { parse } from "graphql";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { check, finish, same } from "../lib/tap.mjs";
import { exceptions } from "./eslint.config.js";

const served = await readFile(new URL("../../../schema.graphql", import.meta.url), "utf8");
const configuration = fileURLToPath(new URL("eslint.config.js", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "countersign-schema-"));
try {
  await conventions();
} catch (error) {
  check("the program runs to its end", false, String(error.stack));
} finally {
  await rm(folder, { recursive: true, force: true });
}
finish();

/// What the rules say of a schema: `rule at Type.field`, each with the rule's sentence.
async function lint(name, text) {
  const file = join(folder, `${name}.graphql`);
  await writeFile(file, text);
  // The rules compare the file with the schema as a whole.
  const whole = { files: ["**/*.graphql"], languageOptions: { parserOptions: { graphQLConfig: { schema: file } } } };
  const eslint = new ESLint({ cwd: folder, overrideConfigFile: configuration, overrideConfig: whole });
  const [{ messages }] = await eslint.lintFiles([file]);
  const places = coordinates(text);
  return messages.map(({ ruleId, line, message }) => ({ breach: `${ruleId} at ${places(line)}`, message }));
}

/// Names what stands in a line: a type, or a type's field or value.
function coordinates(text) {
  const spans = [];
  for (const definition of parse(text).definitions) {
    const name = definition.name?.value ?? definition.kind;
    spans.push({ name, loc: definition.loc });
    for (const part of [...(definition.fields ?? []), ...(definition.values ?? [])]) {
      spans.push({ name: `${name}.${part.name.value}`, loc: part.loc });
    }
  }
  return (line) => spans.findLast(({ loc }) => loc.startToken.line <= line && line <= loc.endToken.line)?.name ?? `line ${line}`;
}

async function conventions() {
  const known = exceptions.map(({ rule, at }) => `${rule} at ${at}`);
  const found = await lint("served", served);
  const breaches = found.filter(({ breach }) => !known.includes(breach));
  check("the schema keeps to the rules, but for the exceptions", breaches.length === 0, breaches);
  const stale = known.filter((exception) => !found.some(({ breach }) => breach === exception));
  same("every exception is still needed", stale, []);

  const broken = async (what, change, wanted) => {
    const text = change(served);
    if (text === served) throw new Error(`nothing to change for: ${what}`);
    const breaches = (await lint(`broken-${wanted.replaceAll(/\W/g, "-")}`, text)).map(({ breach }) => breach);
    check(`${what} is found`, breaches.includes(wanted), breaches.filter((breach) => !known.includes(breach)));
  };
  const withField = (field) => (text) => text.replace(/^type Query \{$/m, `type Query {\n\t"""\n\tNew.\n\t"""\n\t${field}`);
  await broken("a field in another case", withField("new_things: Int"), "@graphql-eslint/naming-convention at Query.new_things");
  await broken(
    "a type with neither an id nor an exception",
    (text) => `${withField("thing: Thing")(text)}\n"""\nNew.\n"""\ntype Thing {\n\tname: String\n}\n`,
    "@graphql-eslint/strict-id-in-types at Thing",
  );
  await broken("a type that nobody can reach", (text) => `${text}\n"""\nNew.\n"""\nenum Nowhere {\n\tA\n}\n`, "@graphql-eslint/no-unreachable-types at Nowhere");
  await broken(
    "a connection without the arguments of pages",
    withField("everybody(first: Int, after: String): UserConnection!"),
    "@graphql-eslint/relay-arguments at Query.everybody",
  );
  await broken(
    "a page without its edges",
    (text) => text.replace(/^(type UserConnection \{\n(?:.*\n)*?)\tedges: \[UserEdge!\]!/m, "$1\trows: [User!]!"),
    "@graphql-eslint/relay-connection-types at UserConnection",
  );
}
