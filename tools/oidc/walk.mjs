// Has a real OpenID provider, oidc-provider, issue tokens for a real till, from discovery to
// the customer at Stripe (which is the sandbox):
//
//   node walk.mjs /path/to/till
//
// All of it is on loopback, on ports that the system chooses, and ends with this program.
import Provider from "oidc-provider";
import { spawn } from "node:child_process";
import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import assert from "node:assert/strict";

const [program] = process.argv.slice(2);
assert(program, "give the path of till");

// The provider says at length that it is set up for trying things out.
console.info = console.warn = () => {};

const callback = "https://app.example.com/callback";
const clientSecret = "canary-client-secret";
const audiences = { "urn:till": "till", "urn:other": "other", "urn:till:opaque": "till" };

// --- the provider -----------------------------------------------------------------------

let provider;
const server = createServer((request, response) => provider(request, response));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

function key(kid) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES256" };
}

// provide makes the provider another one, with these keys; the first of them signs.
function provide(...keys) {
  const client = { client_secret: clientSecret, id_token_signed_response_alg: "ES256" };
  const p = new Provider(issuer, {
    jwks: { keys },
    clients: [
      { ...client, client_id: "app", grant_types: ["authorization_code"], redirect_uris: [callback] },
      { ...client, client_id: "machine", grant_types: ["client_credentials"], redirect_uris: [], response_types: [] },
      { ...client, client_id: "till", grant_types: [], redirect_uris: [], response_types: [] },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true }) }),
    cookies: { keys: [randomBytes(16).toString("hex")] },
    pkce: { required: () => true },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === "till" },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:till",
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: "billing", audience: audiences[resource], accessTokenTTL: 600,
          accessTokenFormat: resource.endsWith(":opaque") ? "opaque" : "jwt",
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  p.on("server_error", (_, error) => console.error(error));
  provider = p.callback();
}

const basic = (client) => ({ Authorization: `Basic ${Buffer.from(`${client}:${clientSecret}`).toString("base64")}` });

async function tokens(client, form) {
  const response = await fetch(`${issuer}/token`, { method: "POST", headers: basic(client), body: new URLSearchParams(form) });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

const machine = async (resource) =>
  (await tokens("machine", { grant_type: "client_credentials", scope: "billing", resource })).access_token;

// login walks a person through the provider's own pages, as a browser would: to the
// login, the consent, and back with a code (RFC 6749 section 4.1, RFC 7636).
async function login(person, resource) {
  const verifier = randomBytes(32).toString("base64url");
  const cookies = new Map();
  const visit = async (url, form) => {
    const response = await fetch(url, {
      method: form ? "POST" : "GET", redirect: "manual", body: form && new URLSearchParams(form),
      headers: { Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      value ? cookies.set(name, value) : cookies.delete(name);
    }
    const to = response.headers.get("location");
    return { page: to ? "" : await response.text(), to: to && new URL(to, url).href };
  };
  let at = `${issuer}/auth?${new URLSearchParams({
    client_id: "app", response_type: "code", redirect_uri: callback, scope: "openid billing", resource,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"), code_challenge_method: "S256",
  })}`;
  for (let step = 0; step < 20; step++) {
    let { page, to } = await visit(at);
    if (!to) {
      const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
      assert(prompt, `a page without a form: ${page.slice(0, 500)}`);
      ({ to } = await visit(at, { prompt, login: person, password: "x" }));
    }
    assert(to, "the form leads nowhere");
    if (to.startsWith(callback)) {
      const code = new URL(to).searchParams.get("code");
      assert(code, to);
      return tokens("app", { grant_type: "authorization_code", code, redirect_uri: callback, code_verifier: verifier, resource });
    }
    at = to;
  }
  assert.fail("the login does not end");
}

// --- till -------------------------------------------------------------------------------

const folder = await mkdtemp(join(tmpdir(), "till-oidc-"));
const children = [];

// run starts till and waits until it says something; everything it says is kept.
async function run(args, env, pattern) {
  const child = spawn(program, args, { env: { TILL_ADDR: "127.0.0.1:0", TILL_OPS_ADDR: "127.0.0.1:0", ...env } });
  children.push(child);
  child.said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (child.said += text));
  for (let n = 0; n < 400 && child.exitCode === null; n++) {
    const found = pattern.exec(child.said);
    if (found) return { child, at: found[1] };
    await sleep(50);
  }
  assert.fail(`till ${args.join(" ")}:\n${child.said}`);
}

const sandbox = (await run(["sandbox", "--addr", "127.0.0.1:0"], {}, /STRIPE_API_BASE=(\S+)/)).at;

async function serve(name, issuerYAML) {
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, `public_url: https://billing.example.com
auth:
  issuers:
    - ${issuerYAML.join("\n      ")}
plans: {pro: {mode: subscription, line_items: [{price: {lookup_key: pro_monthly}}]}}
portals: {default: {}}
limits: {owner_writes_per_minute: 0, address_per_minute: 0}
redirects: {allow: ["https://app.example.com"], default: "https://app.example.com/"}
`);
  const { child, at } = await run(["serve", "--config", file, "--drain-pause", "0s"], {
    STRIPE_SECRET_KEY: "sk_test_canary", STRIPE_API_BASE: sandbox, CLIENT_SECRET: clientSecret,
    TILL_DATABASE_URL: `sqlite://${join(folder, `${name}.db`)}`,
  }, /"msg":"serving".*"addr":"([^"]+)"/);
  return { child, base: `http://${at}` };
}

const sent = [];

// open asks for the portal and returns status, code and customer.
async function open({ base }, token) {
  sent.push(token);
  const response = await fetch(`${base}/portal`, { method: "POST", headers: { Authorization: `Bearer ${token}` } });
  const { code, customer } = await response.json();
  return { status: response.status, code, customer };
}

async function isReady({ base }) {
  return (await fetch(`${base}/readyz`)).status === 200;
}

async function eventually(what, seconds, holds) {
  for (let n = 0; n < seconds * 10; n++) {
    if (await holds()) return n / 10;
    await sleep(100);
  }
  assert.fail(`not within ${seconds} s: ${what}`);
}

// --- the walk ---------------------------------------------------------------------------

let checks = 0;
function pass(name) {
  checks++;
  console.log(`ok   ${name}`);
}
const refused = (status, code) => ({ status, code, customer: undefined });

try {
  const first = key("first");
  provide(first);

  const people = ["audience: [till]", "types: [at+jwt]", "scopes: [billing]", "algorithms: [ES256]"];
  const till = await serve("people", [`issuer: ${issuer}`, ...people]);
  await eventually("ready", 20, () => isReady(till));
  pass("ready: the keys were found by discovery");

  const alice = await login("alice", "urn:till");
  const opened = await open(till, alice.access_token);
  assert.equal(opened.status, 201);
  assert.match(opened.customer, /^cus_/);
  pass("a person's access token, by authorization code and PKCE, opens the portal");

  const again = await open(till, (await login("alice", "urn:till")).access_token);
  assert.equal(again.customer, opened.customer);
  const bob = await open(till, (await login("bob", "urn:till")).access_token);
  assert.notEqual(bob.customer, opened.customer);
  pass("another login is the same customer, another person is not");

  assert.deepEqual(await open(till, (await login("alice", "urn:other")).access_token), refused(401, "unauthenticated"));
  pass("a token for another audience is refused");
  assert.deepEqual(await open(till, alice.id_token), refused(401, "unauthenticated"));
  pass("an ID token is refused");
  assert.deepEqual(await open(till, (await login("alice", "urn:till:opaque")).access_token), refused(401, "unauthenticated"));
  pass("an opaque token is refused where nobody is asked about them");
  const [head, claims, signature] = alice.access_token.split(".");
  const mallory = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(claims, "base64url")), sub: "mallory" })).toString("base64url");
  assert.deepEqual(await open(till, `${head}.${mallory}.${signature}`), refused(401, "unauthenticated"));
  pass("a token with another's name in it is refused");
  assert.deepEqual(await open(till, await machine("urn:till")), refused(403, "forbidden"));
  pass("a machine's token, by client credentials, is refused");

  const machines = await serve("machines", [`issuer: ${issuer}`, ...people, "machines: {allow: true}"]);
  await eventually("ready", 20, () => isReady(machines));
  assert.equal((await open(machines, await machine("urn:till"))).status, 201);
  pass("unless machines are allowed");

  const asking = await serve("asking", [`issuer: ${issuer}`, "audience: [till]",
    `introspection: {url: "${issuer}/token/introspection", client_id: till, secret_env: CLIENT_SECRET}`]);
  await eventually("ready", 20, () => isReady(asking));
  assert.equal((await open(asking, (await login("alice", "urn:till:opaque")).access_token)).status, 201);
  pass("an opaque token is accepted where the provider is asked about it");
  assert.deepEqual(await open(asking, "no-token-of-anybody"), refused(401, "unauthenticated"));
  pass("and one that it does not know is refused");

  const strange = await serve("strange", [`issuer: ${issuer}/`, ...people]);
  await eventually("it says why it is not ready", 20, () => strange.child.said.includes("byte for byte"));
  assert.equal(await isReady(strange), false);
  assert.deepEqual(await open(strange, alice.access_token), refused(401, "unauthenticated"));
  pass("an issuer that differs by one slash is another one");

  provide(key("second"), first);
  const after = await login("alice", "urn:till");
  assert.equal(JSON.parse(Buffer.from(after.access_token.split(".")[0], "base64url")).kid, "second");
  const waited = await eventually("the new key is known", 40, async () => (await open(till, after.access_token)).status === 201);
  pass(`a new key is known after ${waited.toFixed(1)} s`);
  assert.equal((await open(till, alice.access_token)).status, 201);
  pass("and the old one still");

  // The log must not help anybody who reads it.
  const said = children.map((c) => c.said).join("");
  for (const token of sent) assert(!said.includes(token.split(".").at(-1)), "a token is in the log");
  assert(!said.includes("canary"), "a secret is in the log");
  pass("no token and no secret is in the log");
} catch (error) {
  for (const child of children) console.error(child.said.split("\n").slice(-8).join("\n"));
  console.error(error);
  process.exitCode = 1;
} finally {
  for (const child of children) {
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await Promise.race([new Promise((resolve) => child.once("exit", resolve)), sleep(20_000)]);
      child.kill("SIGKILL");
    }
  }
  server.close();
  server.closeAllConnections();
  await rm(folder, { recursive: true, force: true });
}
if (!process.exitCode) console.log(`oidc: ${checks} checks passed`);
