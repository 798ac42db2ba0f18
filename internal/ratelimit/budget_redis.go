package ratelimit

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// errPool is an answer that the script does not give.
var errPool = errors.New("redis answers what makes no sense")

//go:embed budget.lua
var budgetText string

// redisLedger keeps the pool in Redis.
type redisLedger struct {
	redis  *Redis
	script *redis.Script
	// donors, tokens and busy are keys; the endpoint's name is added to busy.
	donors, tokens, busy, hello string
	// self is this process, and no other one that was or will be.
	self string
}

func newRedisLedger(r *Redis, name string) *redisLedger {
	// In braces, so that a cluster keeps them together.
	key := prefix + "budget:{" + name + "}:"
	return &redisLedger{
		redis: r, script: redis.NewScript(budgetText),
		donors: key + "donors", tokens: key + "tokens", busy: key + "busy:", hello: key + "hello", self: rand.Text(),
	}
}

func (l *redisLedger) ask(q question, answered func(answer, error)) {
	go func() {
		// Its time is its own: what is drawn is for all who wait.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		raw, err := l.script.Run(ctx, l.redis.client, []string{l.donors, l.tokens, l.busy + q.endpoint, l.hello}, l.arguments(q)...).Int64Slice()
		if err != nil {
			answered(answer{}, err)
			return
		}
		answered(readAnswer(raw, q))
	}()
}

// arguments are what budget.lua takes, in its order.
func (l *redisLedger) arguments(q question) []any {
	args := make([]any, 0, 16)
	args = append(args, l.self, q.before, lease.Microseconds(), early.Microseconds(), memory.Microseconds(),
		q.endpoint, q.tokens, digit(q.cut), digit(q.cutAll), q.each.replicas)
	for _, quota := range []quota{q.each, q.all} {
		if q.before == 0 {
			args = append(args, 0, 0, 0)
			continue
		}
		base, step, burst := quota.pool()
		args = append(args, number(base), number(step), number(burst))
	}
	return args
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// readAnswer reads what the script returned: its time, whether it heard, tokens granted,
// whether one is promised, the wait, the time for one, and how many draw.
func readAnswer(raw []int64, q question) (answer, error) {
	const fields = 7
	if len(raw) != fields || raw[0] <= 0 || raw[2] < 0 || raw[2] > int64(q.tokens) ||
		raw[4] < 0 || raw[5] < 0 || raw[6] < 0 {
		return answer{}, errPool
	}
	micro := func(n int64) time.Duration { return time.Duration(min(n, time.Hour.Microseconds())) * time.Microsecond }
	return answer{
		now: raw[0], heard: raw[1] == 1, granted: int(raw[2]), promised: raw[3] == 1,
		wait: micro(raw[4]), token: micro(raw[5]), busy: int(min(raw[6], int64(max(1, q.each.replicas)))),
	}, nil
}
