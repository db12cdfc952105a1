// nginx in front of the server, as docs/operations.md says.
import { execFileSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NAME, example, throughProxy } from "../lib/proxy.mjs";

await throughProxy(async (folder, server, port) => {
  const [key, certificate] = ["key.pem", "certificate.pem"].map((name) => join(folder, name));
  const words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", `/CN=${NAME}`];
  const files = ["-addext", `subjectAltName=DNS:${NAME}`, "-keyout", key, "-out", certificate];
  execFileSync("openssl", [...words, ...files], { stdio: "ignore" });
  const configuration = join(folder, "nginx.conf");
  const documented = await example("nginx", [
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["/etc/ssl/governance.pem", certificate],
    ["/etc/ssl/governance.key", key],
    ["http://127.0.0.1:4280", `http://${server}`],
  ]);
  const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((of) => `${of}_temp_path ${join(folder, of)};`);
  // Whoever may change users would become one who cannot read this folder.
  const user = process.getuid() === 0 ? "user root;" : "";
  const around = `${user} pid ${join(folder, "nginx.pid")}; error_log stderr; daemon off; worker_processes 1; events {}`;
  await writeFile(configuration, `${around}\nhttp { access_log off; ${paths.join(" ")}\n${documented} }`);
  return { command: ["nginx", "-c", configuration, "-e", "stderr"], environment: {}, issuer: () => readFile(certificate) };
});
