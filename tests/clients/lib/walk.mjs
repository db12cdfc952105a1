// Does the steps of the walk-through over HTTP, as the people of the playground's tabs.

export const nameOf = (document) => /\b(?:query|mutation|subscription)\s+(\w+)/.exec(document)[1];

/// Someone who goes through the steps in their order; subscriptions are left to whoever tests them.
export function walker(url, { people, tabs }) {
  let next = 0;
  const tokenOf = (handle) => people.find((person) => person.handle === handle).token;
  const ask = async (handle, query, variables = {}) => {
    const answer = await fetch(`${url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${tokenOf(handle)}` },
      body: JSON.stringify({ query, variables }),
    });
    return answer.json();
  };
  /// Does every step up to this operation, and this one; answers what it answered.
  const through = async (operation) => {
    for (; next < tabs.length; next += 1) {
      const tab = tabs[next];
      if (tab.query.startsWith("subscription")) continue;
      const answer = await ask(tab.as, tab.query, tab.variables);
      if (nameOf(tab.query) === operation) {
        next += 1;
        return answer;
      }
    }
    throw new Error(`there is no step ${operation} ahead`);
  };
  return { ask, through, tokenOf };
}
