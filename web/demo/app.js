// The demo page of `till serve --dev`: what a frontend does with Till, and nothing that
// needs a library. Text from answers only ever becomes textContent.

const element = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// --- calling Till ---------------------------------------------------------------------

// Problem is an answer of Till that is none (application/problem+json), or no answer.
class Problem extends Error {
  constructor({ code, title, status = 0, errors = [], request_id: requestID = "" }, retryAfter) {
    super(title);
    Object.assign(this, { code, title, status, errors, requestID, retryAfter });
  }

  // Whether the same request may well succeed in a moment.
  get passing() {
    return this.status === 0 || this.status >= 500;
  }
}

async function call(method, path, { body, headers = {} } = {}) {
  const init = { method, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Problem({ code: "no_answer", title: "Till does not answer. Is it still running?" });
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) {
    return answer;
  }
  const unreadable = { code: "unreadable", title: "The answer is not one of Till's.", status: response.status };
  throw new Problem(answer?.code ? answer : unreadable, Number(response.headers.get("Retry-After")) || undefined);
}

// --- who is calling -------------------------------------------------------------------

// The name outlives the trip to Stripe's page and ends with the tab, so that the page
// that comes back asks as the same user.
const remembered = "till-demo-user";
let user = sessionStorage.getItem(remembered) || "alice";

// The token is in this variable and nowhere else. localStorage would keep it for every
// later page and script of this origin; a cookie would be sent by itself, which is what
// makes forged requests possible. A new page gets a new token.
let token = null;

async function authorization() {
  const now = Date.now() / 1000;
  if (token?.user !== user || token.expiresAt < now + 30) {
    const asked = user;
    const answer = await call("POST", "/dev/token", { body: { sub: asked } });
    token = { user: asked, value: answer.token, expiresAt: answer.expires_at };
  }
  return `Bearer ${token.value}`;
}

async function callAsUser(method, path, body) {
  const attempt = async () => call(method, path, { body, headers: { Authorization: await authorization() } });
  try {
    return await attempt();
  } catch (problem) {
    if (problem.code !== "unauthenticated") {
      throw problem;
    }
    // `till serve --dev` has a new key after each start; a fresh token is signed with it.
    token = null;
    return attempt();
  }
}

// --- showing --------------------------------------------------------------------------

function make(tag, text = "", ...children) {
  const node = document.createElement(tag);
  node.textContent = text;
  node.append(...children);
  return node;
}

// say changes a live region only when there is news: it is read out each time.
function say(id, text) {
  if (element(id).textContent !== text) {
    element(id).textContent = text;
  }
}

function list(pairs) {
  const dl = make("dl");
  for (const [name, value] of pairs) {
    dl.append(make("dt", name), make("dd", value));
  }
  return dl;
}

function showProblem(problem, hint = "") {
  if (!(problem instanceof Problem)) {
    throw problem;
  }
  const panel = make("div", "", make("h2", problem.title));
  panel.className = "panel problem";
  if (problem.errors.length > 0) {
    const lines = problem.errors.map(({ pointer, detail }) => make("li", "", make("code", pointer || "the body"), ` ${detail}`));
    panel.append(make("ul", "", ...lines));
  }
  if (hint) {
    panel.append(make("p", hint));
  }
  const facts = [["Code", problem.code]];
  if (problem.status) {
    facts.push(["Status", String(problem.status)]);
  }
  if (problem.requestID) {
    facts.push(["Request", problem.requestID]);
  }
  panel.append(list(facts));
  element("problem").replaceChildren(panel);
  panel.scrollIntoView({ block: "nearest" });
}

function clearProblem() {
  element("problem").replaceChildren();
  for (const input of document.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
  }
}

// markFields points at the inputs that an answer complains about; they are named after
// the members of the request.
function markFields(form, problem) {
  for (const { pointer } of problem.errors ?? []) {
    form.elements.namedItem(pointer.slice(1))?.setAttribute("aria-invalid", "true");
  }
}

function showOutcome(text, ...details) {
  element("outcome").hidden = false;
  say("outcome-status", text);
  element("outcome-details").replaceChildren(...details);
}

// money turns minor units into an amount for people. Stripe counts in hundredths where
// ISO 4217, and so Intl, has none for these two.
function money(amount, currency) {
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency });
  const digits = ["isk", "ugx"].includes(currency) ? 2 : format.resolvedOptions().maximumFractionDigits;
  return format.format(amount / 10 ** digits);
}

function total(amount, currency) {
  return amount === null || currency === null ? "nothing to pay" : `${money(amount, currency)} (${amount} in minor units)`;
}

const sentences = {
  open: "The session is open: nothing has been bought yet.",
  expired: "The session has expired. Nothing was bought.",
  paid: "Done, and paid.",
  no_payment_required: "Done. There was nothing to pay now.",
  unpaid: "Done; the money is still on its way.",
};

function showSession(session) {
  const facts = list([
    ["Status", session.status ?? "none"],
    ["Payment status", session.payment_status],
    ["Total", total(session.amount_total, session.currency)],
    ["Plan", session.metadata.till_plan ?? "unknown"],
    ["Session", session.id],
  ]);
  const next = session.next_poll_after_ms === undefined
    ? "This is final; the page has stopped asking."
    : `Till says to ask again after ${session.next_poll_after_ms / 1000} s; the page does.`;
  const hint = make("p", next);
  hint.className = "hint";
  const whole = make("details", "", make("summary", "The whole answer"), make("pre", JSON.stringify(session, null, 2)));
  // A poll must not close what the reader has opened.
  whole.open = element("outcome-details").querySelector("details")?.open ?? false;
  const word = session.status === "complete" ? session.payment_status : session.status;
  showOutcome(sentences[word] ?? `The session is ${word}.`, facts, hint, whole);
}

// --- coming back from Stripe's page -----------------------------------------------------

// Each watch has a number; a newer one ends those before it.
let watches = 0;

// watch asks for the session until it is final, at the pace that Till sets. Failures that
// may pass are sat out, five in a row at most.
async function watch(id) {
  const mine = ++watches;
  showOutcome("Asking what became of the session…");
  for (let failures = 0; mine === watches; ) {
    let wait;
    try {
      const session = await callAsUser("GET", `/checkout/${id}`);
      if (mine !== watches) {
        return;
      }
      failures = 0;
      showSession(session);
      wait = session.next_poll_after_ms;
      if (wait === undefined) {
        return;
      }
    } catch (problem) {
      if (mine !== watches) {
        return;
      }
      failures++;
      if (!problem.passing || failures === 5) {
        giveUp(problem);
        return;
      }
      wait = (problem.retryAfter ?? 2) * 1000;
    }
    await sleep(Math.max(wait, 250));
  }
}

function giveUp(problem) {
  showOutcome("The session cannot be shown.");
  showProblem(problem, problem.code === "not_found"
    ? `A session can be read by whoever opened it, and you are calling as ${user}.`
    : "");
}

function comeBack() {
  const query = new URLSearchParams(location.search);
  const id = query.get("session_id");
  if (id !== null && /^[A-Za-z0-9_]{1,255}$/.test(id)) {
    watch(id);
  } else if (id !== null) {
    showOutcome("The address has something in it that is no session id.");
  } else if (query.has("cancelled")) {
    showOutcome("You left Checkout without buying. The session stays open until it expires.");
  } else if (query.get("portal") === "returned") {
    showOutcome("Back from the Billing Portal.");
  }
}

// --- what the page offers -----------------------------------------------------------------

function checkoutRequest(form) {
  const body = { plan: form.dataset.plan };
  const fields = new FormData(form);
  const quantity = fields.get("quantity");
  const code = fields.get("promotion_code")?.trim();
  if (quantity) {
    body.quantity = Number(quantity);
  }
  if (code) {
    body.promotion_code = code;
  }
  return body;
}

let busy = false;

// go opens a session and leaves for its page.
async function go(form, path, body) {
  if (busy) {
    return;
  }
  busy = true;
  form.setAttribute("aria-busy", "true");
  clearProblem();
  try {
    const session = await callAsUser("POST", path, body);
    if (!/^https?:\/\//.test(session.url)) {
      throw new Problem({ code: "unreadable", title: "The answer has no address of a page." });
    }
    location.assign(session.url);
  } catch (problem) {
    markFields(form, problem);
    showProblem(problem);
  } finally {
    // Not kept until the page is left: with the back button the same page may return.
    busy = false;
    form.removeAttribute("aria-busy");
  }
}

for (const form of document.querySelectorAll("form[data-plan]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(form, "/checkout", {
      ...checkoutRequest(form),
      success_url: `${location.origin}/?session_id={CHECKOUT_SESSION_ID}`,
      cancel_url: `${location.origin}/?cancelled=1`,
    });
  });
  for (const kind of ["focusin", "input"]) {
    form.addEventListener(kind, () => showCurl("/checkout", checkoutRequest(form)));
  }
}

const portal = { return_url: `${location.origin}/?portal=returned` };

element("portal-form").addEventListener("submit", (event) => {
  event.preventDefault();
  go(event.target, "/portal", portal);
});
element("portal-form").addEventListener("focusin", () => showCurl("/portal", portal));

element("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  user = element("user").value.trim() || "alice";
  sessionStorage.setItem(remembered, user);
  clearProblem();
  start();
});

// --- the same with curl -------------------------------------------------------------------

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

let shown = ["/checkout", { plan: "pro", quantity: 3 }];

function showCurl(path, body) {
  shown = [path, body];
  const json = "-H 'Content-Type: application/json'";
  element("curl").textContent = [
    `TOKEN=$(curl -sS ${quote(`${location.origin}/dev/token`)} ${json} -d ${quote(JSON.stringify({ sub: user }))}`
      + ` | sed 's/.*"token": *"\\([^"]*\\)".*/\\1/')`,
    `curl -sS ${quote(location.origin + path)} -H "Authorization: Bearer $TOKEN" ${json} -d ${quote(JSON.stringify(body))}`,
  ].join("\n");
}

// Browsers have a clipboard on https and on this machine only.
if (navigator.clipboard) {
  element("copy").hidden = false;
  element("copy").addEventListener("click", async () => {
    element("copy-status").textContent = "";
    try {
      await navigator.clipboard.writeText(element("curl").textContent);
      say("copy-status", "Copied.");
    } catch {
      say("copy-status", "The browser did not let the page copy.");
    }
  });
}

// --- what it costs ------------------------------------------------------------------------

function price({ unit_amount: amount, currency, recurring }) {
  if (amount === null) {
    return "";
  }
  const every = recurring?.interval_count > 1 ? `every ${recurring.interval_count} ${recurring.interval}s` : `a ${recurring?.interval}`;
  return recurring ? `${money(amount, currency)} ${every}` : money(amount, currency);
}

// showOffers writes what GET /plans says into the cards: the prices are Stripe's.
async function showOffers() {
  const { data: offers } = await callAsUser("GET", "/plans");
  for (const form of document.querySelectorAll("form[data-plan]")) {
    const offer = offers.find(({ name }) => name === form.dataset.plan);
    const label = form.querySelector("[data-price]");
    if (label !== null && offer !== undefined) {
      label.textContent = offer.line_items.map(price).filter(Boolean).join(", ");
      label.hidden = label.textContent === "";
    }
  }
}

// --- start ----------------------------------------------------------------------------------

async function start() {
  element("user").value = user;
  showCurl(...shown);
  try {
    await authorization();
    say("user-status", `Calling as ${user}.`);
    await showOffers();
  } catch (problem) {
    say("user-status", "");
    showProblem(problem);
  }
  comeBack();
}

start();
