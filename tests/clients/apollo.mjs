// Apollo's client: a query, a mutation, refusals as data and as errors, its cache, and a subscription over graphql-ws
// whose line is cut again and again.
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
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
const codesOf = (error) => (CombinedGraphQLErrors.is(error) ? error.errors.map((one) => one.extensions.code) : String(error));

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
  return new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.split(
      ({ operationType }) => operationType === "subscription",
      new GraphQLWsLink(socket),
      new HttpLink({ uri: `${url}/graphql`, headers: { authorization } }),
    ),
  });
}

async function asked(url, walk) {
  const client = clientOf(url, walk.tokenOf("ann"));
  const found = await client.query({
    query: gql`{ templates(itemType: GOVERNED_PROJECT) { nodes { id name } } viewer { user { id name } apiKey { id } } }`,
  });
  same("a query", found.data.templates.nodes.map((template) => template.name), ["Standard"]);
  same("what may be null is null, what may not is there", [found.data.viewer.apiKey, found.data.viewer.user.name], [null, "Ann Builder"]);
  same("objects are known by their type and id", client.cache.extract()[`User:${found.data.viewer.user.id}`]?.name, "Ann Builder");

  const templateId = found.data.templates.nodes[0].id;
  const create = (name) => client.mutate({ mutation: CREATE, variables: { input: { templateId, name } } });
  const made = await create("Apollo's");
  const { item, cursor, userErrors } = made.data.createGovernedProject;
  same("a mutation", [item.name, typeof cursor, userErrors, made.error], ["Apollo's", "string", [], undefined]);
  const changed = await client.mutate({
    mutation: gql`
      mutation Rename($input: UpdateItemInput!) { updateItem(input: $input) { item { id name revision } userErrors { code } } }
    `,
    variables: { input: { itemId: item.id, name: "Apollo's second", expectedRevision: item.revision } },
  });
  check("the cache takes a mutation's object over", client.cache.extract()[`GovernedItem:${item.id}`]?.name === "Apollo's second", changed);

  const refused = (await create(" ")).data.createGovernedProject;
  same("a broken rule is data", [refused.item, refused.userErrors.map(({ code, path }) => [code, path])], [null, [["NAME_EMPTY", ["name"]]]]);

  const eve = clientOf(url, walk.tokenOf("eve"));
  const forbidden = await eve.mutate({ mutation: CREATE, variables: { input: { templateId, name: "No" } } }).catch((error) => error);
  same("a missing right is an error with its code", codesOf(forbidden), ["FORBIDDEN"]);
  const missing = gql`query Missing($id: ID!) { node(id: $id) { id } viewer { user { name } } }`;
  const foreign = await client.query({ query: missing, variables: { id: "nonsense" }, errorPolicy: "all" });
  same("an error beside data", [codesOf(foreign.error), foreign.data], [
    ["NOT_FOUND"],
    { node: null, viewer: { __typename: "Viewer", user: { __typename: "User", ...foreign.data.viewer.user, name: "Ann Builder" } } },
  ]);
  const invalid = await client.query({ query: gql`{ nothingOfThisName }` }).catch((error) => error);
  same("a document that is not valid is an error with its code", codesOf(invalid), ["GRAPHQL_VALIDATION_FAILED"]);
  const nobody = await clientOf(url, "not-a-token").query({ query: gql`{ viewer { user { name } } }` }).catch((error) => error);
  same("a bad token is an error with its code", codesOf(nobody), ["UNAUTHENTICATED"]);
}

/// By its digest: the text goes along once, when the server does not know it yet.
async function persisted(url, walk) {
  const sent = [];
  const http = new HttpLink({
    uri: `${url}/graphql`,
    headers: { authorization: `Bearer ${walk.tokenOf("ann")}` },
    fetch: watching(sent),
  });
  const ask = async () => {
    const client = new ApolloClient({ cache: new InMemoryCache(), link: new PersistedQueryLink({ sha256: digest }).concat(http) });
    const { data } = await client.query({ query: gql`query PersistedByApollo { viewer { user { name } } }` });
    return data.viewer.user.name;
  };
  same("a persisted query is answered", [await ask(), await ask()], ["Ann Builder", "Ann Builder"]);
  same("its text goes along once", sent, ["digest", "both", "digest"]);
}

async function resumed(url, walk) {
  const line = await breakingLine(url, 4_000);
  const client = clientOf(line.url, walk.tokenOf("aud"));
  const listen = (after, { next, ended }) => {
    const subscription = client.subscribe({ query: gql(EVENTS), variables: { after }, fetchPolicy: "no-cache" }).subscribe({
      next: ({ data, error }) => (error ? ended() : next(data.events)),
      error: ended,
      complete: ended,
    });
    return () => subscription.unsubscribe();
  };
  await nothingLost(walk, line, listen);
}
