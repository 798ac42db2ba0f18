// Reads a JSON array of [raw, out] from standard input and prints the pairs that a
// browser (WHATWG URL) reads differently: out must be its own href, and raw must
// lead to it. "^" in a path is left out of the second half: implementations differ
// in whether they encode it.
import { readFileSync } from "node:fs";

const href = (text) => {
  try {
    return new URL(text.replace("{CHECKOUT_SESSION_ID}", "CHECKOUT_SESSION_ID")).href;
  } catch {
    return "not a URL";
  }
};
const wrong = [];
for (const [raw, out] of JSON.parse(readFileSync(0, "utf8"))) {
  const want = out.replace("{CHECKOUT_SESSION_ID}", "CHECKOUT_SESSION_ID");
  if (href(out) !== want || (href(raw) !== want && !raw.includes("^"))) {
    wrong.push({ raw, out, href: href(out), hrefOfRaw: href(raw), origin: URL.canParse(out) && new URL(out).origin });
  }
}
console.log(JSON.stringify(wrong));
