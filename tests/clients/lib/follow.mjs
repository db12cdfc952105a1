// Follows a subscription over a line that breaks, whatever client library listens: it subscribes again behind the last
// cursor that it has seen. This is all that a client needs to do.
import { pause } from "./listen.mjs";
import { check, same } from "./tap.mjs";

export const EVENTS = "subscription Follow($after: EventCursor) { events(after: $after) { cursor node { kind at } } }";
const LOG = `query Log($after: EventCursor) {
  events(after: $after, first: 100) { edges { cursor } pageInfo { hasNextPage endCursor } } }`;

/// `listen(after, { next, ended })` subscribes behind a position, tells of each edge and of the end, and answers how to
/// leave. Answers the cursors `heard` in their order, how often it came `back`, and `leave`.
function follow(listen, after) {
  const heard = [];
  let last = after;
  let back = -1;
  let leave = () => {};
  const begin = () => {
    back += 1;
    let over = false;
    leave = listen(last, {
      next: (edge) => {
        if (over) return;
        last = edge.cursor;
        // After a silence comes an edge without a node, which only says how far the log was read.
        if (edge.node !== null) heard.push(edge.cursor);
      },
      ended: () => {
        if (over) return;
        over = true;
        timer = setTimeout(begin, 50);
      },
    });
  };
  let timer = setTimeout(begin, 0);
  return {
    heard,
    back: () => back,
    leave: () => {
      clearTimeout(timer);
      leave();
    },
  };
}

/// Everything in the log behind a position that the auditor may read: what whoever followed must have heard.
async function everything(walk, after) {
  const cursors = [];
  for (let position = after, more = true; more; ) {
    const { data } = await walk.ask("aud", LOG, { after: position });
    cursors.push(...data.events.edges.map((edge) => edge.cursor));
    more = data.events.pageInfo.hasNextPage;
    position = data.events.pageInfo.endCursor;
  }
  return cursors;
}

/// The auditor follows the log while others work, over a line that breaks: first what happened before, then what
/// happens now.
export async function nothingLost(walk, line, listen) {
  const [start] = await everything(walk, null);
  const following = follow(listen, start);
  await walk.through("RequestFeedbackOnV2");
  const wanted = await everything(walk, start);
  for (let tries = 0; tries < 600 && following.heard.length < wanted.length; tries += 1) await pause(100);
  // One too many would come now.
  await pause(300);
  check("the line broke again and again", line.broke() >= 3 && following.back() >= 3, [line.broke(), following.back()]);
  check("much happened meanwhile", wanted.length >= 50, wanted.length);
  same("nothing of it is lost, nothing comes twice", following.heard, wanted);
  following.leave();
  line.close();
}
