// Package auth decides who is calling. It takes the bearer token of a request, judges it
// against the policy of the issuer that the operator trusts, and says which principal
// that is; what the principal may do, own or buy is not its business.
//
// A library checks the signature and nothing else. The compact form, the header, the
// claims, the key sets and their cache are judged here, because no library refuses
// everything that must be refused: the usual ones accept unknown critical headers,
// duplicate members, an expiry in milliseconds or an empty subject, let one bad key hide
// the good one beside it, and fetch keys as often as a stranger asks.
//
// A token is judged in the order of cost: bytes, header, claims, key, signature. So a
// token that is wrong by itself never causes a fetch, and a token that cannot be judged
// (the issuer's keys are not there) is told apart from one that is wrong.
package auth
