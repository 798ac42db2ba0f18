// Package torture holds the one promise that must never break: exactly one Stripe customer
// for each owner, whatever dies. It consists of tests only, behind the build tag torture,
// because they run for minutes and need Linux (processes that die with their parent, tmpfs);
// run them with `make torture`. Every run ends with a table: what was asked, what was seen,
// and a verdict. A verdict that is not kept fails the run.
//
// What runs is the program itself: `till sandbox` in Stripe's place, three `till serve` on
// one database, and between them a proxy that breaks connections. The sandbox's own faults
// are ordered through its control calls, one at a time, so that each is counted.
//
//   - Race: a first visit of 1,000 owners, ten people of each at once, with 200 kill -9, a
//     fifth of all creations going wrong and, on Postgres, three crashes of the server.
//   - CrashPoints: kill -9 at each step of the protocol, of healing, sweeping and migrating.
//     The process that dies is this test binary in another role: the shipped packages with
//     wrappers around their interfaces, so that no hook is in the program.
//   - OneFault: a request goes wrong and nobody comes again for a minute.
//   - Zombies, StoppedProcess: a process stands still while others go on, and wakes up.
//   - PostgresOutage: a crash, and a failover to a standby that has lost the last second.
//   - Restore, OldReservation: yesterday's backup, and a reservation older than its key.
//   - Audit: kill -9 in the middle of writes that go well, and a row for each that was answered.
//   - DiskFull, PowerLoss: SQLite on a full disk, and copies of its files while it writes.
//
// What begins with TestLoad is another promise: calm under load, and when Stripe, the machine
// or whoever rolls it out is not. Requests come at a constant rate that answers do not slow
// down, through nginx as deploy/nginx.conf has it or directly. `make torture-load` runs these.
// Figures are counts, ratios within one run and medians of windows, so that a machine with
// other work to do does not decide. Where many calls are needed, what answers in Stripe's
// place has the right shapes and no memory.
//
//   - RollingRestart: three replicas leave and come back at 500 requests a second.
//   - Kill: kill -9 of one of three; who was being served repeats with the same key.
//   - RudeStripe: a Stripe that hangs, dribbles, or sends 1 GiB, headers or interim answers
//     without end, with 32 calls under way.
//   - LittleMemory, LittleCPU: 128 MiB and a fifth of a CPU, in a cgroup.
//   - FewFiles: 256 files, and twice as many connections.
//   - StopWhileStripeHangs, PartialOutage, HungScrapers: a stop while calls hang; no database,
//     Stripe or keys; scrapers of metrics that do not read.
//   - BlockedLog: whoever reads the log has stopped.
//   - Soak: half of what a process can do, with faults at random, and what is left after it.
//   - Overload: two, five and ten times what the service can do, once where Stripe's
//     budget is scarce and once where the processor is (a cgroup bounds it).
//   - StripeOutage: Stripe is gone in five ways, while who fails asks again at once, five
//     times.
//   - TransientFaults, StripeRateLimit: one in twenty, and one in three calls go wrong
//     in ways that another try mends; Stripe says that it is too much.
//   - Hostile: a thousand requests a second of one owner, and of many from one address,
//     beside honest people.
//   - BrownOut: a third of the calls to Stripe take 8 s.
//   - Redis: three replicas share Stripe's budget in a Redis that is killed, frozen, full,
//     or may not be written to.
//
// The short form is for CI. Where the protocol makes an owner wait, it turns the sandbox's
// clock, which is the only one that the protocol knows; the full form waits.
//
//	go test -tags torture ./internal/torture -v -run TestTortureRace -args -form=full -seed=7
//
// A seed repeats the choices of the dice and not how processes interleave.
//
// What this cannot see: a kernel or disk that loses what it has confirmed (copies hold
// everything that was written, confirmed or not; only what follows the last commit of the
// log is damaged), a Stripe that lies in its lists, and more than 50,000 idempotency keys
// within a day, which the sandbox does not keep (that it forgot none is checked).
package torture
