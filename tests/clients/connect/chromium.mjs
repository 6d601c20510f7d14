// Opens page.mjs in Chromium. Its origin must be among the --cors-origins of the service: http://127.0.0.1:50990.
//
//     node chromium.mjs URL

import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { buildSync } from "esbuild";

const PORT = 50990;
const script = buildSync({ entryPoints: ["page.mjs"], bundle: true, format: "esm", write: false }).outputFiles[0].text;

const server = createServer(async (request, response) => {
  if (request.url === "/page.js") {
    response.setHeader("content-type", "text/javascript");
    return response.end(script);
  }
  if (request.url !== "/report") {
    response.setHeader("content-type", "text/html");
    return response.end('<script type="module" src="/page.js"></script>');
  }
  let report = "";
  for await (const part of request) report += part;
  console.log(report);
  browser.kill();
  process.exit(report.includes("FAILED") ? 1 : 0);
});
let browser;
server.listen(PORT, "127.0.0.1", () => {
  const profile = mkdtempSync(`${tmpdir()}/readout-chromium-`);
  const page = `http://127.0.0.1:${PORT}/?service=${process.argv[2]}`;
  browser = spawn("chromium", ["--headless", "--no-sandbox", `--user-data-dir=${profile}`, page], { stdio: "ignore" });
});
setTimeout(() => {
  console.log("FAILED: the page does not report within a minute");
  browser.kill();
  process.exit(1);
}, 60_000);
