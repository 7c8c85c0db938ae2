// The container's service that the component replaces. In: PORT (0 or none: any free port), KEYS (a file like ../keys.json).
// Out: the same answers as the component, and one `ready:` line. No dependencies; Node.js 20.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const keys = new Map(Object.entries(JSON.parse(readFileSync(process.env.KEYS ?? new URL("../keys.json", import.meta.url), "utf8"))));

class Refusal extends Error {}
class MissingHeader extends Refusal {
  message = "the request has no Authorization header";
}
class WrongScheme extends Refusal {
  message = "the Authorization header is not `Bearer KEY`";
}
class UnknownKey extends Refusal {
  message = "the key is unknown";
}
class ExpiredKey extends Refusal {
  message = "the key has expired";
}

// RFC 9110, 11.1 and 11.2: the scheme in any case, then a token68.
const BEARER = /^bearer +([A-Za-z0-9\-._~+/]+=*) *$/i;

function bearerKey(request) {
  const values = request.headersDistinct.authorization ?? [];
  if (values.length === 0) throw new MissingHeader();
  const match = values.length === 1 && BEARER.exec(values[0]);
  if (!match) throw new WrongScheme();
  return match[1];
}

function validate(request) {
  const key = bearerKey(request);
  const token = keys.get(key);
  if (token === undefined) throw new UnknownKey();
  if (typeof token.user_id !== "string" || !Number.isSafeInteger(token.expires_at)) throw new TypeError("record of a key: not a token");
  if (Date.now() / 1000 >= token.expires_at) throw new ExpiredKey();
  return token;
}

function send(response, status, headers, body = "") {
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function verdict(response, status, token, headers = {}) {
  const body = { valid: token !== null, user_id: token?.user_id ?? null, expires_at: token?.expires_at ?? null };
  send(response, status, { "content-type": "application/json", "cache-control": "no-store", ...headers }, JSON.stringify(body));
}

function answer(request, response) {
  request.resume(); // the body says nothing here
  if (request.url.split("?")[0] !== "/auth/validate") return send(response, 404);
  if (!["GET", "HEAD", "POST"].includes(request.method)) return send(response, 405, { allow: "GET, HEAD, POST" });
  let token;
  try {
    token = validate(request);
  } catch (error) {
    const refused = error instanceof Refusal;
    console.error(`${refused ? "refused" : "failed"}: ${error.message}`);
    return verdict(response, refused ? 401 : 500, null, refused ? { "www-authenticate": "Bearer" } : {});
  }
  verdict(response, 200, token);
}

const server = createServer(answer);
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`ready: http://127.0.0.1:${server.address().port}`);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close());
