// The client urql: a query, a mutation, refusals as data and as errors, and a subscription over graphql-ws whose line
// breaks again and again.
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { persistedExchange } from "@urql/exchange-persisted";
import { EVENTS, nothingLost } from "./lib/follow.mjs";
import { digest, watching } from "./lib/persisted.mjs";
import { breakingLine } from "./lib/line.mjs";
import { socketOf } from "./lib/listen.mjs";
import { playgroundSession, startDemo } from "./lib/server.mjs";
import { check, finish, same } from "./lib/tap.mjs";
import { walker } from "./lib/walk.mjs";

const CREATE = gql`
  mutation Create($input: CreateGovernedProjectInput!) {
    createGovernedProject(input: $input) { item { id name revision } cursor userErrors { code path } }
  }
`;
const codesOf = ({ error }) => error?.graphQLErrors.map((one) => one.extensions.code);

const demo = await startDemo();
try {
  const walk = walker(demo.url, await playgroundSession(demo.url));
  await asked(demo.url, walk);
  await persisted(demo.url, walk);
  await resumed(demo.url, walk);
} catch (error) {
  check("the program runs to its end", false, String(error.stack));
} finally {
  await demo.stop();
}
finish();

/// A client of whoever holds the token: subscriptions over the socket, everything else by POST.
function clientOf(url, token) {
  const authorization = `Bearer ${token}`;
  const socket = socketOf(url, token);
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  });
  return new Client({
    url: `${url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
    exchanges: [cacheExchange, fetchExchange, subscriptionExchange({ forwardSubscription })],
  });
}

async function asked(url, walk) {
  const client = clientOf(url, walk.tokenOf("ann"));
  const found = await client.query(
    gql`{ templates(itemType: GOVERNED_PROJECT) { nodes { id name } } governedItems { nodes { id name } } viewer { user { name } apiKey { id } } }`,
    {},
  );
  same("a query", found.data?.templates.nodes.map((template) => template.name), ["Standard"]);
  same("what may be null is null, what may not is there", [found.data.viewer.apiKey, found.data.viewer.user.name], [null, "Ann Builder"]);

  const templateId = found.data.templates.nodes[0].id;
  const create = (who, name) => who.mutation(CREATE, { input: { templateId, name } });
  const made = await create(client, "By urql");
  const { item, cursor, userErrors } = made.data.createGovernedProject;
  same("a mutation", [item.name, typeof cursor, userErrors, made.error], ["By urql", "string", [], undefined]);
  const named = gql`query Named($id: ID!) { node(id: $id) { __typename ... on GovernedItem { id name } } }`;
  const before = await client.query(named, { id: item.id });
  const rename = gql`mutation Rename($input: UpdateItemInput!) { updateItem(input: $input) { item { id name } userErrors { code } } }`;
  await client.mutation(rename, { input: { itemId: item.id, name: "Again by urql", expectedRevision: item.revision } });
  const after = await client.query(named, { id: item.id });
  same("the cache forgets what a mutation changed", [before, after].map((answer) => answer.data.node.name), ["By urql", "Again by urql"]);

  const refused = (await create(client, " ")).data.createGovernedProject;
  same("a broken rule is data", [refused.item, refused.userErrors.map(({ code, path }) => [code, path])], [null, [["NAME_EMPTY", ["name"]]]]);
  const forbidden = await create(clientOf(url, walk.tokenOf("eve")), "No");
  same("a missing right is an error with its code", codesOf(forbidden), ["FORBIDDEN"]);
  const missing = gql`query Missing($id: ID!) { node(id: $id) { id } viewer { user { name } } }`;
  const foreign = await client.query(missing, { id: "nonsense" });
  same("an error beside data", [codesOf(foreign), foreign.data.node, foreign.data.viewer.user.name], [["NOT_FOUND"], null, "Ann Builder"]);
  const invalid = await client.query(gql`{ nothingOfThisName }`, {});
  same("a document that is not valid is an error with its code", codesOf(invalid), ["GRAPHQL_VALIDATION_FAILED"]);
  const nobody = await clientOf(url, "not-a-token").query(gql`{ viewer { user { name } } }`, {});
  same("a bad token is an error with its code", codesOf(nobody), ["UNAUTHENTICATED"]);
}

/// By its digest: the text goes along once, when the server does not know it yet.
async function persisted(url, walk) {
  const sent = [];
  const ask = async () => {
    const client = new Client({
      url: `${url}/graphql`,
      preferGetMethod: false,
      fetchOptions: { headers: { authorization: `Bearer ${walk.tokenOf("ann")}` } },
      fetch: watching(sent),
      exchanges: [persistedExchange({ preferGetForPersistedQueries: false, generateHash: async (text) => digest(text) }), fetchExchange],
    });
    const { data, error } = await client.query(gql`query PersistedByUrql { viewer { user { name } } }`, {});
    return data?.viewer.user.name ?? String(error);
  };
  same("a persisted query is answered", [await ask(), await ask()], ["Ann Builder", "Ann Builder"]);
  same("its text goes along once", sent, ["digest", "both", "digest"]);
}

async function resumed(url, walk) {
  const line = await breakingLine(url, 4_000);
  const client = clientOf(line.url, walk.tokenOf("aud"));
  const listen = (after, { next, ended }) => {
    const heard = client.subscription(gql(EVENTS), { after }).subscribe((result) => {
      if (result.error || !result.data) ended();
      else next(result.data.events);
    });
    return () => heard.unsubscribe();
  };
  await nothingLost(walk, line, listen);
}
