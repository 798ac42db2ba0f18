// Package ratelimit decides how much each caller may ask for: the writes of one owner,
// the requests of one client network, and each one's share of the calls to Stripe. It
// counts in memory, or in Redis where replicas share one count; it knows nothing of
// HTTP or Stripe.
//
// Redis is never needed. When it is gone, slow or answers what makes no sense, each
// process keeps to its own share, the limit divided by the replicas: nobody gets more
// than the whole, and who keeps well within it does not notice.
package ratelimit
