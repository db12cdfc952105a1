// What the last release served goes on: nothing of its schema breaks by @graphql-inspector but what it had deprecated.
// A release leaves its schema as fixtures/released/VERSION.graphql. Each kind of breach is seen to be found, made in a
// copy of the schema.
import { DiffRule, diff } from "@graphql-inspector/core";
import { buildASTSchema, buildSchema, parse, visit } from "graphql";
import { readFile, readdir } from "node:fs/promises";
import { check, finish, same } from "../lib/tap.mjs";

const root = new URL("../../../", import.meta.url);
try {
  await compatible();
} catch (error) {
  check("the program runs to its end", false, String(error.stack));
}
finish();

/// The newest of the released schemas, by version.
async function lastRelease() {
  const folder = new URL("fixtures/released/", root);
  const parts = (file) => file.split(".").slice(0, 3).map(Number);
  const later = (a, b) => parts(a).map((part, index) => part - parts(b)[index]).find((difference) => difference !== 0) ?? 0;
  const file = (await readdir(folder)).sort(later).at(-1);
  return { file, text: await readFile(new URL(file, folder), "utf8") };
}

/// A schema without whatever was deprecated in it, which nobody may rely on any more.
function relied(text) {
  const gone = (node) => (node.directives?.some(({ name }) => name.value === "deprecated") ? null : undefined);
  const left = visit(parse(text), { FieldDefinition: gone, InputValueDefinition: gone, EnumValueDefinition: gone });
  return buildASTSchema(left, { assumeValid: true });
}

/// What breaks for whoever relies on the released schema. A type that only deprecated parts led to may go with them.
async function breaks(released, served) {
  const changes = await diff(relied(released), buildSchema(served), [DiffRule.safeUnreachable]);
  return changes.filter(({ criticality }) => criticality.level === "BREAKING").map(({ message }) => message);
}

async function compatible() {
  const served = await readFile(new URL("schema.graphql", root), "utf8");
  const { file, text } = await lastRelease();
  same(`nothing that ${file} served breaks`, await breaks(text, served), []);

  const broken = async (what, [from, to], wanted) => {
    if (!from.test(served)) throw new Error(`nothing to change for: ${what}`);
    const found = await breaks(served, served.replace(from, to));
    check(`${what} is found`, found.some((message) => message.includes(wanted)), found);
  };
  // A part with a description of one line: first deprecated, then gone.
  const goes = async (what, part) => {
    const described = new RegExp(`^\\t"""\\n\\t.*\\n\\t"""\\n\\t${part}\\n`, "m");
    if (!described.test(served)) throw new Error(`nothing to change for: ${what}`);
    const before = served.replace(described, (found) => `${found.trimEnd()} @deprecated(reason: "Old.")\n`);
    same(what, await breaks(before, served.replace(described, "")), []);
  };
  await broken("a removed field", [/^\tactive: Boolean!$/m, "\tacting: Boolean!"], "'active' was removed");
  await broken("a field that may be null now", [/^\tactive: Boolean!$/m, "\tactive: Boolean"], "changed type from 'Boolean!' to 'Boolean'");
  await broken("a removed value", [/^\tABANDON_SIGN_OFF$/m, "\tGIVE_UP"], "'ABANDON_SIGN_OFF' was removed");
  await broken("a new input that must be given", [/^input CreateGroupInput \{$/m, "input CreateGroupInput {\n\tnew: Int!"], "'new'");
  await broken("a new argument that must be given", [/^\tnode\($/m, "\tnode(\n\t\tnew: Int!"], "'new: Int!'");
  await broken("a removed type of a choice", [/^(union \w+ = )\w+ \| /m, "$1"], "removed from Union");
  await goes("a field that was deprecated may go", "name: String!");
  await goes("a value that was deprecated may go", "ABANDON_SIGN_OFF");
}
