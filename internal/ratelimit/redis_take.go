package ratelimit

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// takeScript is rate for all processes, by Redis' clock. It keeps the time at which the
// caller has caught up, and forgets it then. What the process knows for certain is a
// floor: a server that was restarted, or has evicted the key, learns it again.
//
// KEYS: the caller's. ARGV: cost, most, known; microseconds. It returns whether the
// request is admitted (1, 0), and how far ahead the caller is now.
//
// A key that holds something else counts as none and is overwritten.
var takeScript = redis.NewScript(`
local cost, most, debt = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' and value.err and string.sub(value.err, 1, 9) ~= 'WRONGTYPE' then
	return value
end
local ahead = (type(value) == 'string' and tonumber(value) or 0) - now
if ahead > debt then debt = ahead end
if debt > most then debt = most end
if debt + cost > most then
	return {0, debt}
end
debt = debt + cost
redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
return {1, debt}
`)

var errNonsense = errors.New("redis answered what makes no sense")

// take asks for one request at rate r, from a caller who is known to be ahead by known.
// It returns whether the request is admitted, and how far ahead the caller is now, that
// request included. An error means that nobody knows.
func (r *Redis) take(ctx context.Context, key string, at rate, known time.Duration) (admitted bool, debt time.Duration, err error) {
	answer, err := r.ask(ctx, takeScript, []string{key}, at.cost.Microseconds(), at.most.Microseconds(), known.Microseconds())
	if err != nil {
		return false, 0, err
	}
	return r.read(answer, at)
}

// read reads the answer of takeScript.
func (r *Redis) read(answer any, at rate) (admitted bool, debt time.Duration, err error) {
	parts, ok := answer.([]any)
	if !ok || len(parts) != 2 {
		return false, 0, r.lost(errNonsense)
	}
	flag, isFlag := parts[0].(int64)
	ahead, isTime := parts[1].(int64)
	if !isFlag || !isTime || flag < 0 || flag > 1 || ahead < 0 || ahead > at.most.Microseconds() {
		return false, 0, r.lost(errNonsense)
	}
	return flag == 1, time.Duration(ahead) * time.Microsecond, nil
}
