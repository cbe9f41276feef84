// Serves one page through @ngrok/ngrok, as its users do; prints its URL as JSON
// and ends when its standard input does.
import http from "node:http";
import ngrok from "@ngrok/ngrok";

const service = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain");
  if (request.method === "POST") {
    request.pipe(response);
    return;
  }
  response.end(`node saw ${request.method} ${request.url} over ${request.headers["x-forwarded-proto"]}`);
});
service.listen(0, "127.0.0.1", async () => {
  try {
    const listener = await ngrok.forward({
      addr: service.address().port,
      authtoken: process.env.NGROK_AUTHTOKEN,
      server_addr: process.env.SERVER_ADDR,
      root_cas: process.env.ROOT_CAS,
      ...JSON.parse(process.env.OPTIONS ?? "{}"),
    });
    console.log(JSON.stringify({ url: listener.url() }));
  } catch (error) {
    console.log(JSON.stringify({ error: error.message, code: error.errorCode }));
  }
});
process.stdin.on("end", async () => {
  await ngrok.disconnect().catch(() => {});
  process.exit(0);
});
process.stdin.resume();
