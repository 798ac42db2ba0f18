// Package contract holds Till against Stripe's own published specification: every
// request that the whole service sends, every answer that the sandbox gives, and the
// catalogue's tables of parameters and locales. It consists of tests only, behind the
// build tag contract, because they need two builds of stripe-mock and the documents
// inside them: run them with `make contract`.
//
// The builds are Stripe's: v0.180.0 knows exactly the API version 2023-10-16, which
// stripe-go v76 speaks, and v0.203.0 knows 2026-08-26.dahlia. Neither can stand for the
// other (they disagree on ui_mode, for example), so each judges what is meant for it.
//
// What the service sends. `till serve` runs as a process of its own and is driven over
// HTTP; between it and stripe-mock stands a proxy that writes down every request. A
// request is judged twice, and either refusal fails the test: by the status with which
// stripe-mock answers it, and by the request's schema in the specification, because
// stripe-mock looks for unknown parameters at the top level only. The proxy never
// changes a request. It changes a few fields of answers, no others than patchable
// allows, because stripe-mock remembers nothing and invents what it answers, and the
// service rightly believes no answer about another customer, mode or host. What it
// changed is logged (`go test -v`).
//
// Every value of every parameter that a template can have, at any depth, is sent once
// besides: the rows are made from the specification, one plan or portal for each, and
// what cannot be sent is listed with its reason. The file from which the catalogue knows
// the parameters is written from the same documents, and compared with them.
//
// Updates of sessions need plans that are made for them, so the use cases make them in this
// process, through the same proxy. Every parameter that an update has in the newest version
// must be seen arriving, or be listed with the reason why it is never sent.
//
// The calls that the service makes only when something has gone wrong, or of a person
// about whom the token says something, are made by its client alone, through the same
// proxy and before the same judges.
//
// What the sandbox answers. A walk through all its operations, once as each version,
// compares every 2xx body with the response's schema and every 4xx and 5xx body with the
// schema of errors. It also refuses fields that an object has in neither version, which
// the schemas alone would allow, and fails if it leaves out an operation of params.txt.
//
// Tests in verdict_test.go send what is wrong on purpose, so that no judge can be blind.
//
// What this cannot see: whether Stripe itself agrees with its specification, rules
// between parameters (the documents have none), and what depends on state. A promotion
// code is looked up but never redeemed, since stripe-mock's only one is not active.
package contract
