// A line to the server that breaks by itself: each connection carries so many bytes of what the server says, to the
// byte, also in the middle of a message, and then ends for both without a word of goodbye.
import { once } from "node:events";
import { connect, createServer } from "node:net";

/// Answers the line's `url`, how often it `broke`, and `close`.
export async function breakingLine(url, bytes) {
  const { hostname, port } = new URL(url);
  const open = new Set();
  let broke = 0;
  const server = createServer((client) => {
    const far = connect({ host: hostname, port: Number(port) });
    let left = bytes;
    for (const [end, other] of [[client, far], [far, client]]) {
      open.add(end);
      end.on("error", () => {});
      end.on("close", () => {
        open.delete(end);
        other.destroy();
      });
    }
    client.pipe(far);
    far.on("data", (data) => {
      if (left === 0) return;
      const passed = data.subarray(0, left);
      left -= passed.length;
      client.write(passed, () => {
        if (left > 0 || client.destroyed) return;
        broke += 1;
        client.destroy();
        far.resetAndDestroy();
      });
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    for (const end of open) end.destroy();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, broke: () => broke, close };
}
