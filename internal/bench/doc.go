// Package bench measures what the service adds to a call of Stripe, beside two programs
// that stand in the same place: a bare httputil.ReverseProxy, which does none of its work,
// and a handler as one writes it from the samples of echo, stripe-go and golang-jwt, which
// does the same work without care. It consists of tests, behind the build tag bench, and of
// the comparison with a committed baseline; run it with `make bench` and `make bench-check`.
// docs/performance.md says what the figures mean.
//
// Every measured program is a process of its own, started anew for each round and held to
// one processor; this process sends the load and shares another processor with the fake
// Stripe and with Postgres. The fake Stripe is the sandbox, but for the one call that a warm
// request makes: that is answered from a template, after as long as it is told, and the id of
// each session says how long that was and whose customer it is. So what a program adds is
// known request by request, and an answer made for somebody else is found.
//
// Figures are the median of rounds, ratios are taken within a round. A round in which others
// used the machine is done again, and marked when that does not help.
package bench
