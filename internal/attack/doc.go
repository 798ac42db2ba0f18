// Package attack is what `make attack` does to the real program, as a child process
// on this machine: more slow connections than anybody honest has, thousands of bad tokens
// a second, a million hostile requests, requests that a proxy and the program could take
// apart differently, callers who hang up, and a stopwatch on refusals. Everything stays on the loopback address and is bounded in
// count and time. It prints what was asked for and what was seen.
//
// The tests have the build tag attack, because they take minutes and measure.
package attack
