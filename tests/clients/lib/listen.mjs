// Hears what one person's subscriptions say, over whatever client library a program tests.
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";

/// A client over graphql-transport-ws, of whoever holds the token. It never comes back by itself: whoever resumes
/// subscribes behind what he heard last, where the library would repeat the old position.
export function socketOf(url, token) {
  return createClient({
    url: `${url.replace(/^http/, "ws")}/graphql`,
    connectionParams: { authorization: `Bearer ${token}` },
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
}

export function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/// A client of one person, and what it heard.
export function listening(client) {
  const heard = [];
  const listen = (query, variables) =>
    client.subscribe({ query, variables }, {
      next: ({ data, errors }) => heard.push(errors ?? Object.values(data)[0]),
      error: (error) => heard.push(error),
      complete: () => {},
    });
  const once = async (query, variables) => {
    for await (const answer of client.iterate({ query, variables })) return answer;
  };
  // Until something was heard; one that never comes ends the wait.
  const some = async (count) => {
    for (let tries = 0; tries < 100 && heard.length < count; tries += 1) await pause(50);
    return heard;
  };
  return { client, heard, listen, once, some };
}
