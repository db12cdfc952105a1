// The playground page: GraphiQL, a tab for each step of the walk-through, and a button for each person.
// Everything comes from this server; tokens stay in the headers editor and in memory, never in storage.
(async () => {
  "use strict";
  const { React, ReactDOM, GraphiQL } = window;
  const h = React.createElement;
  const contentOf = (name) => document.querySelector(`meta[name="${name}"]`).content;

  // The style elements that GraphiQL's dialogs add carry the page's nonce, or the browser refuses them.
  window.__webpack_nonce__ = contentOf("style-nonce");

  // The demo hands out its people and tabs; any other server shows the way to sign in.
  const answer = contentOf("session") === "demo" ? await fetch("/playground/session.json") : null;
  const { people, tabs } = answer?.ok ? await answer.json() : { people: [], tabs: [] };
  const isDemo = people.length > 0;

  const headersOf = (token) => JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2);
  const tokenOf = (handle) => people.find((person) => person.handle === handle)?.token;
  const editorTabs = tabs.map((tab) => ({
    query: `# ${tab.title} (as ${tab.as})\n${tab.query}\n`,
    variables: JSON.stringify(tab.variables ?? {}, null, 2),
    headers: tokenOf(tab.as) ? headersOf(tokenOf(tab.as)) : "",
  }));

  const signInTab = {
    query: [
      "# Fill in the variables below and run this: the access token goes into the Headers editor.",
      "mutation SignIn($input: SignInInput!) {",
      "  signIn(input: $input) {",
      "    accessToken",
      "    userErrors { code message }",
      "  }",
      "}",
      "",
    ].join("\n"),
    variables: JSON.stringify({ input: { organisation: "default", email: "", password: "" } }, null, 2),
    headers: "",
  };

  // The demo's tokens change with every start, so its tabs are made anew on every visit.
  const memoryStorage = () => {
    const entries = new Map();
    return {
      getItem: (key) => entries.get(key) ?? null,
      setItem: (key, value) => void entries.set(key, String(value)),
      removeItem: (key) => void entries.delete(key),
      clear: () => entries.clear(),
      get length() {
        return entries.size;
      },
    };
  };

  // What the steps answered, by the name of their operation: later steps take ids and revisions from there.
  const answers = new Map();
  const nameOf = (document) => /\b(?:query|mutation|subscription)\s+(\w+)/.exec(document ?? "")?.[1];
  const within = (value, path) => path.reduce((found, part) => found?.[part], value);

  // The variables of a step with what the answers before it hold; null where nothing changes.
  const filled = (document, variables) => {
    const takes = tabs.find((tab) => nameOf(tab.query) === nameOf(document))?.takes ?? {};
    let next;
    try {
      next = JSON.parse(variables);
    } catch {
      // The user is writing something of his own.
      return null;
    }
    for (const [place, from] of Object.entries(takes)) {
      const [operation, ...path] = from.split("/");
      const answer = within(answers.get(operation), path);
      const parts = place.split("/").slice(1);
      const last = parts.pop();
      const target = within(next, parts);
      if (answer !== undefined && target) target[last] = answer;
    }
    const text = JSON.stringify(next, null, 2);
    return text === JSON.stringify(JSON.parse(variables), null, 2) ? null : text;
  };

  // Has the tab that is open ask with a token; set once there is an editor to write it into.
  let actAs = () => {};

  // Rendered inside GraphiQL, where its state can be reached, and shown in the page's header.
  function Bar() {
    const { tabs: open, activeTabIndex, changeTab, headerEditor, variableEditor } =
      GraphiQL.React.useEditorContext({ nonNull: true });
    React.useEffect(() => {
      const variables = filled(open[activeTabIndex]?.query, variableEditor?.getValue());
      if (variables !== null) variableEditor.setValue(variables);
    }, [activeTabIndex, variableEditor]);
    const headers = open[activeTabIndex]?.headers ?? "";
    actAs = (token) => headerEditor?.setValue(headersOf(token));
    // The schema is told to whoever is signed in: it is asked for again once somebody is.
    const { schema, isFetching, introspect } = GraphiQL.React.useSchemaStore();
    React.useEffect(() => {
      if (!schema && !isFetching && headers.includes("Bearer ")) introspect();
    }, [headers]);
    React.useEffect(() => {
      document.querySelector(".graphiql-tab-active")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    }, [activeTabIndex]);
    // Two tabs of one title share it, and a tab that the user opened has none.
    const titles = open.map((tab, index) => /^# (.+)/.exec(tab.query ?? "")?.[1] ?? tab.title ?? `Tab ${index + 1}`);

    const step = h("span", { key: "step", className: "step" },
      h("label", { htmlFor: "step" }, "Step"),
      h("select", { id: "step", value: activeTabIndex, onChange: (event) => changeTab(Number(event.target.value)) },
        titles.map((title, index) => h("option", { key: index, value: index }, title))),
      h("button", {
        type: "button",
        className: "next",
        disabled: activeTabIndex + 1 >= open.length,
        onClick: () => changeTab(activeTabIndex + 1),
      }, "Next"));
    const hats = h("span", { key: "people", className: "people", role: "group", "aria-label": "Act as" }, "Act as ",
      people.map((person) => h("button", {
        key: person.handle,
        type: "button",
        title: person.name,
        "aria-pressed": headers.includes(`Bearer ${person.token}"`),
        onClick: () => actAs(person.token),
      }, person.handle)));
    const hint = h("p", { key: "hint", className: "hint" }, "Not signed in: run ", h("code", null, "signIn"),
      ", or put a token into the Headers editor as ", h("code", null, '{ "Authorization": "Bearer …" }'), ".");
    const shown = isDemo ? [step, hats] : headers.includes("Bearer ") ? [] : [hint];
    return ReactDOM.createPortal(shown, document.getElementById("bar"));
  }

  // GraphiQL's own fetcher speaks graphql-transport-ws for subscriptions and sends the headers editor's content
  // as the connection's first payload.
  const socketUrl = new URL("/graphql", window.location.href);
  socketUrl.protocol = socketUrl.protocol === "https:" ? "wss:" : "ws:";
  const sent = GraphiQL.createFetcher({ url: "/graphql", subscriptionUrl: socketUrl.href });
  const remembered = (request, answer) => {
    if (answer.data) answers.set(request.operationName ?? nameOf(request.query), answer.data);
    const token = answer.data?.signIn?.accessToken;
    if (token && !isDemo) actAs(token);
    return answer;
  };
  // GraphiQL asks for the schema before its editors hold a token.
  const asSomebody = (options) =>
    isDemo && !options?.headers?.Authorization
      ? { ...options, headers: { ...options?.headers, ...JSON.parse(headersOf(people[0].token)) } }
      : options;
  const fetcher = async (request, options) => {
    if (request.operationName === "IntrospectionQuery") {
      const asker = asSomebody(options);
      // Nobody is told the schema, and a refusal would stand in the browser's log.
      return asker?.headers?.Authorization ? sent(request, asker) : { errors: [{ message: "Sign in to see the schema." }] };
    }
    const answer = await sent(request, options);
    if (!answer[Symbol.asyncIterator]) return remembered(request, answer);
    // A subscription goes through as it is, so that stopping it reaches the socket.
    if (/^\s*subscription\b/m.test(request.query)) return answer;
    return (async function* () {
      for await (const part of answer) yield remembered(request, part);
    })();
  };

  const defaultTabs = isDemo && editorTabs.length > 0 ? editorTabs : [signInTab];
  const isFresh = isDemo || window.localStorage.getItem("graphiql:tabState") === null;
  ReactDOM.createRoot(document.getElementById("playground")).render(
    h(GraphiQL, {
      fetcher,
      defaultTabs,
      // The editors of the first tab start from these, not from `defaultTabs`.
      defaultHeaders: isDemo ? defaultTabs[0].headers || headersOf(people[0].token) : undefined,
      variables: isFresh ? defaultTabs[0].variables : undefined,
      storage: isDemo ? memoryStorage() : undefined,
      defaultEditorToolsVisibility: isDemo ? "variables" : "headers",
      showPersistHeadersSettings: false,
    }, h(GraphiQL.Logo, null, h("span", null, "Countersign"), h(Bar))),
  );
})();
