// Package sandbox is a stateful stand-in for Stripe on this machine: the API
// that a Checkout and Billing Portal service uses, and hosted pages that a
// person can click through. It is for development and for tests.
//
// It decides what Stripe decides: who may call (test keys only), what a
// parameter may be, which combinations are refused and with which status, code
// and param, what an idempotency key replays, when a session expires, what is
// due today, and what a completed session leaves behind. It imports nothing
// else of this module: a fake that shared code with the client would share its
// mistakes.
//
// Sources. Parameters (params.txt) and the shapes of answers (objects/) come
// from Stripe's OpenAPI documents of 2023-10-16 and 2026-08-26.dahlia; answers
// carry the fields of both. The Stripe-Version header changes two things:
// the spelling of ui_mode (from 2026-03-25) and whether the update of a
// Checkout Session exists (from 2024-09-30). New parameters are accepted under
// old versions.
//
// Refusals come in two kinds. What is wrong whatever the state (an unknown
// parameter, a wrong type, a missing one, a bad URL, a value out of its enum)
// is refused before execution and leaves the idempotency key free. What is
// judged during execution (a missing customer, a price of the wrong kind, a
// session that is no longer open) is stored under the key and replayed, as a
// 500 is. A request that panics frees its key.
//
// The Date of every answer is of the sandbox's own clock, as Stripe's is of
// Stripe's: who goes by it follows a clock that is moved.
//
// Control calls move the clock, play the buyer, install faults, and show what
// happened; see the list in control.go. They need no key and therefore answer
// loopback callers only, under a local Host, never for a page of another site.
//
// What it does not do:
//
//   - Webhooks, events, search, Connect, tax, invoicing beyond the first
//     invoice of a subscription, refunds, disputes, balance, test clocks,
//     payment links, meters, quotes, credit: those URLs are unrecognized.
//   - Accounts v2: an account can be registered by a control call and then
//     used as customer_account; its portal shows nothing.
//   - Real payment: every card is the test card; only "Decline card" and the
//     decline call refuse one. There is no 3-D Secure and no delayed payment
//     method, so that a complete session is never left unpaid.
//   - Tax: amount_tax is 0. Tiered prices cost 0. Coupons that repeat or run
//     for ever take off the first payment only, and `applies_to`,
//     `restrictions` and a code's customer are ignored.
//   - Proration: changing a subscription costs nothing today. Renewals happen
//     when somebody looks after the clock has moved, and make no invoice.
//   - Optional items, adjustable quantities, custom fields, consent and phone
//     number collection are shown in the session but not asked on the page.
//   - Embedded and custom sessions have no Stripe.js to mount them; their page
//     exists at the same path as a hosted one's, for tests.
//   - The portal's subscription_update flow changes the quantity only, and a
//     retention coupon is accepted but not offered.
//   - Expired sessions are not recovered (after_expiration only shows).
//   - Stripe's own texts are used where they are known; where they are not,
//     status, code and param follow the documentation and the text is ours.
//   - An expansion that does not exist is refused only after the execution.
//   - Rate limits: there are none until a fault asks for them.
//   - Nothing is kept on disk, and everything is bounded: 1 MiB bodies,
//     100,000 objects of a kind (more are refused), 50,000 sessions and as
//     many idempotency keys (the oldest are forgotten), 1,000 requests in the
//     journal.
package sandbox
