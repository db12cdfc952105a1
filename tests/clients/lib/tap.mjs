// Counts checks and prints them as TAP. A program ends with `finish()`.
import { isDeepStrictEqual } from "node:util";

let count = 0;
let failed = 0;

export function check(what, passed, detail) {
  count += 1;
  if (!passed) failed += 1;
  console.log(`${passed ? "ok" : "not ok"} ${count} - ${what}`);
  if (!passed && detail !== undefined) console.log(`# ${JSON.stringify(detail)}`);
}

export function same(what, actual, expected) {
  check(what, isDeepStrictEqual(actual, expected), { actual, expected });
}

export function finish() {
  console.log(`1..${count}`);
  process.exitCode = failed === 0 ? 0 : 1;
}
