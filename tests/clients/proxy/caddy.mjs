// Caddy in front of the server, as docs/operations.md says; it is its own issuer of certificates here.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pause } from "../lib/listen.mjs";
import { NAME, example, throughProxy } from "../lib/proxy.mjs";

await throughProxy(async (folder, server, port) => {
  const configuration = join(folder, "Caddyfile");
  const documented = await example("caddyfile", [["127.0.0.1:4280", server]]);
  const alone = "admin off\nauto_https disable_redirects\nlocal_certs\nskip_install_trust\ndefault_bind 127.0.0.1\nlog {\nlevel ERROR\n}";
  await writeFile(configuration, `{\n${alone}\nhttps_port ${port}\n}\n${documented}`);
  const [root, own] = ["pki/authorities/local/root.crt", `certificates/local/${NAME}/${NAME}.crt`].map((file) => join(folder, "caddy", file));
  return {
    command: ["caddy", "run", "--config", configuration, "--adapter", "caddyfile"],
    environment: { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder, HOME: folder },
    issuer: async () => {
      // It listens before it has made the certificate.
      for (let attempt = 0; attempt < 200 && !existsSync(own); attempt += 1) await pause(50);
      return readFile(root);
    },
  };
});
