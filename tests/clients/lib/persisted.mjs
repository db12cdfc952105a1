// Automatic persisted queries, as the clients' programs watch them.
import { createHash } from "node:crypto";

export const digest = (text) => createHash("sha256").update(text).digest("hex");

/// A fetch that notes of each request whether it bears the document's digest, its text, or both.
export function watching(sent) {
  return (address, options) => {
    const { query, extensions } = JSON.parse(options.body);
    const persisted = extensions?.persistedQuery !== undefined;
    sent.push(persisted && query ? "both" : persisted ? "digest" : "text");
    return fetch(address, options);
  };
}
