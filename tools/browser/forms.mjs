// Tries the forms of a running `till serve --dev` in a browser without script, and what
// other sites can do to them:
//
//   node forms.mjs http://127.0.0.1:8080
//
// The pages of the other sites are served here, on loopback. CHROMIUM names the browser.
import { chromium } from "playwright-core";
import { createServer } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";

const [base] = process.argv.slice(2);
assert(base, "give the address of a running `till serve --dev`");
const cookie = "till-session";

// What a page of ours would be like, by the policy that it has.
const policy = (await fetch(`${base}/demo/form.html`)).headers.get("content-security-policy");

// /go redirects to where Stripe would be; every other path is a page with a form, whose
// action and policy are in the query.
const elsewhere = createServer((request, response) => {
  const url = new URL(request.url, "http://elsewhere");
  if (url.pathname === "/go") {
    response.writeHead(303, { Location: "https://checkout.stripe.com/c/pay/cs_test_1" }).end();
    return;
  }
  response.writeHead(200, { "Content-Type": "text/html", "Content-Security-Policy": url.searchParams.get("policy") ?? "" });
  response.end(`<form method="post" action="${url.searchParams.get("action")}"><input name="plan" value="pro"><button>go</button></form>`);
});
await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
const port = elsewhere.address().port;

const profile = await mkdtemp(join(tmpdir(), "till-forms-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  javaScriptEnabled: false,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    // Nobody answers there: being refused a connection is the proof of having been sent.
    "--host-resolver-rules=MAP checkout.stripe.com 127.0.0.1:1"],
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(15_000);

let checks = 0;
function pass(name) {
  checks++;
  console.log(`ok   ${name}`);
}

// submit presses a button and returns the request of the form and its answer.
async function submit(button) {
  const sent = page.waitForRequest((r) => r.method() === "POST");
  await page.locator(button).click();
  const request = await sent;
  const response = await request.response();
  return { headers: await request.allHeaders(), status: response?.status() };
}

try {
  const token = await fetch(`${base}/dev/token`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ sub: "carol" }),
  }).then((r) => r.json());

  await page.goto(`${base}/demo/form.html`);
  const without = await submit("#buy");
  assert.equal(without.status, 401);
  assert.match(await page.locator("h1").innerText(), /credential/);
  pass("without the cookie: a page, 401");

  await context.addCookies([{ name: cookie, value: token.token, url: base, httpOnly: true, sameSite: "Lax" }]);
  await page.goto(`${base}/demo/form.html`);
  const bought = await submit("#buy");
  assert.equal(bought.status, 303);
  await page.waitForURL(/\/sandbox\/checkout\//);
  // The trap: our pages have Referrer-Policy: no-referrer, and this is what it makes of Origin.
  assert.equal(bought.headers.origin, "null");
  assert.equal(bought.headers["sec-fetch-site"], "same-origin");
  pass("a form buys without script, with Origin: null");

  await page.goto(`${base}/demo/form.html`);
  const managed = await submit("#manage");
  assert.equal(managed.status, 303);
  await page.waitForURL(/\/sandbox\/portal\//);
  pass("a form opens the portal");

  await page.goto(`${base}/demo/form.html`);
  await page.locator("#quantity").fill("99");
  const refused = await submit("#buy");
  assert.equal(refused.status, 422);
  assert.match(await page.locator("main").innerText(), /\/quantity.*between 1 and 50[\s\S]*catalog_not_allowed/);
  pass("a refusal is a page that names the field");

  // Lax would keep the cookie at home; a cookie that goes everywhere is the harder case.
  // Chromium wants it to be Secure, which it takes from this machine without TLS.
  await context.addCookies([{ name: cookie, value: token.token, url: base.replace("http:", "https:"), httpOnly: true, sameSite: "None", secure: true }]);
  for (const [host, site] of [["127.0.0.1", "same-site"], ["localhost", "cross-site"]]) {
    await page.goto(`http://${host}:${port}/?action=${encodeURIComponent(`${base}/checkout`)}`);
    const forged = await submit("button");
    assert.equal(forged.headers["sec-fetch-site"], site);
    assert.match(forged.headers.cookie ?? "", new RegExp(cookie), `the cookie stayed at home: ${site} shows nothing`);
    assert.equal(forged.status, 403);
    assert.match(await page.locator("main").innerText(), /csrf_rejected/);
    pass(`a form of a ${site} page is refused, cookie and all`);
  }

  // The other trap: browsers apply form-action to the redirect as well.
  for (const [name, csp, reaches] of [["our policy", policy, true], ["form-action 'self' alone", "form-action 'self'", false]]) {
    let tried = false;
    const failed = (r) => (tried ||= r.url().startsWith("https://checkout.stripe.com/") && /REFUSED/.test(r.failure().errorText));
    page.on("requestfailed", failed);
    await page.goto(`http://127.0.0.1:${port}/?action=/go&policy=${encodeURIComponent(csp)}`);
    await page.locator("button").click({ noWaitAfter: true });
    await page.waitForTimeout(1500);
    page.off("requestfailed", failed);
    assert.equal(tried, reaches, `${name}: Stripe's page was ${tried ? "" : "not "}asked for`);
    pass(`${name} ${reaches ? "lets a form's redirect through" : "stops it"}`);
  }
  console.log(`${checks} passed, 0 failed`);
} finally {
  await context.close();
  elsewhere.close();
  await rm(profile, { recursive: true, force: true });
}
