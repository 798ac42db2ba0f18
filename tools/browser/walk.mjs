// Walks through a running `till serve --dev` as a person would: buys each plan on the
// sandbox's payment page, comes back, opens the portal, comes back. Every page is held
// against axe's accessibility rules on the way.
//
//   node walk.mjs http://127.0.0.1:8080 [folder for screenshots]
//
// CHROMIUM names the browser; by default the one on the PATH.
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";

const [base, shots] = process.argv.slice(2);
assert(base, "give the address of a running `till serve --dev`");

const profile = await mkdtemp(join(tmpdir(), "till-browser-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = context.pages()[0] ?? (await context.newPage());
page.setDefaultTimeout(15_000);
const complaints = [];
page.on("console", (m) => m.type() === "error" && complaints.push(`${page.url()}: ${m.text()}`));
page.on("pageerror", (e) => complaints.push(`${page.url()}: ${e}`));

let steps = 0;
async function step(name, expectations = {}) {
  steps++;
  const { violations } = await new AxeBuilder({ page }).analyze();
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}`), [], `${name}: accessibility`);
  const text = await page.locator("body").innerText();
  for (const want of expectations.says ?? []) assert.match(text, want, `${name} does not say it`);
  if (shots) await page.screenshot({ path: join(shots, `${String(steps).padStart(2, "0")}-${name.replaceAll(" ", "-")}.png`), fullPage: true });
  console.log(`ok   ${name}`);
}

try {
  await page.goto(base + "/");
  await page.locator("[data-price]", { hasText: "$20.00 a month" }).waitFor();
  await step("demo page", { says: [/no real money/i, /\$25\.00/] });

  await page.goto(base + "/demo/form.html");
  await step("plain forms", { says: [/without script/] });
  await page.goto(base + "/");

  for (const [plan, said] of [["pro", /trial|subscri/i], ["tshirt", /\$25\.00/], ["save-card", /save/i]]) {
    await page.locator(`#${plan}-buy`).click();
    await page.waitForURL(/\/sandbox\/checkout\//);
    await step(`${plan} payment page`, { says: [/SANDBOX/, said] });
    if (plan === "tshirt") {
      await page.locator('button[value="decline"]').click();
      await page.locator('[role="alert"]').waitFor();
      await step("declined card", { says: [/declined/i] });
    }
    await page.locator('button[value="pay"]').click();
    await page.waitForURL(/[?&]session_id=cs_test_[A-Za-z0-9]+/);
    await page.locator("#outcome-details", { hasText: "This is final" }).waitFor();
    await step(`${plan} bought`, { says: [/complete/, plan === "tshirt" ? /Done, and paid/ : /Done/] });
  }

  await page.locator("#portal-form button").click();
  await page.waitForURL(/\/sandbox\/portal\//);
  await step("portal", { says: [/SANDBOX/, /Pro/] });
  await page.locator('a[href*="portal=returned"]').first().click();
  await page.waitForURL(/portal=returned/);
  await step("back from the portal");

  await page.locator("#pro-quantity").fill("99");
  await page.locator("#pro-buy").click();
  await page.locator("#problem", { hasText: "/quantity" }).waitFor();
  await step("a refusal", { says: [/catalog_not_allowed/] });
  // The browser itself logs the 422 that was asked for.
  const unasked = complaints.filter((c) => !/status of 422/.test(c));
  assert.deepEqual(unasked, [], "the console complains");
  console.log(`${steps} passed, 0 failed`);
} finally {
  await context.close();
  await rm(profile, { recursive: true, force: true });
}
