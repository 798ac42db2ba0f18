-- One step of the pool that replicas share: who gives a share, and who draws what.
-- All times are microseconds of this server's clock; a replica's clock is never asked.
--
-- KEYS  donors  sorted set: who gives a share, by the end of the lease
--       tokens  hash: what the buckets hold
--       busy    sorted set: who was sent away from this endpoint, by when
--       hello   a text, to see whether texts can be written
-- Returns {now, heard, granted, promised, wait, token, busy}.
local donors, tokens, busy = KEYS[1], KEYS[2], KEYS[3]
local self, endpoint = ARGV[1], ARGV[6]
local before, lease, ahead, memory = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local want, cut, cutall, replicas = tonumber(ARGV[7]), ARGV[8] == '1', ARGV[9] == '1', tonumber(ARGV[10])
local each = {base = tonumber(ARGV[11]), step = tonumber(ARGV[12]), burst = tonumber(ARGV[13])}
local all = {base = tonumber(ARGV[14]), step = tonumber(ARGV[15]), burst = tonumber(ARGV[16])}

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

if before == 0 then
  -- Nobody has asked before. What cannot be written to, or holds what nobody here has
  -- written, is no pool, and says so now and not when somebody has given his share.
  redis.call('ZCARD', donors)
  redis.call('HLEN', tokens)
  redis.call('SET', KEYS[4], '1', 'PX', 60000)
  return {now, 0, 0, 0, 0, 0, 0}
end
if now > before then
  -- Who asked has given up: it may count on its own share again. Or this clock was put
  -- forward: then what seems to have passed has not, and nobody gets tokens for it.
  if redis.call('EXISTS', tokens) == 1 then
    redis.call('HSET', tokens, 'at', string.format('%.0f', now))
  end
  return {now, 0, 0, 0, 0, 0, 0}
end

local function whole(n) return string.format('%.0f', n) end
local function exact(n) return string.format('%.17g', n) end
local function rate(bucket, n) return math.max(0, bucket.base + bucket.step * math.min(n, replicas)) end
-- A value that nobody here has written counts as none.
local function sane(n, least, most) if n >= least and n <= most then return n end return 0 end

-- A lease that ends later than any can is from before this clock was put back.
redis.call('ZREMRANGEBYSCORE', donors, '-inf', '(' .. whole(now))
redis.call('ZREMRANGEBYSCORE', donors, '(' .. whole(now + lease), '+inf')
-- These have been there all the time since the last step; who comes back has not.
local constant = redis.call('ZCARD', donors)
-- What a pool still holds that nobody gives to is somebody's own share by now.
if constant == 0 then redis.call('DEL', tokens) end
redis.call('ZADD', donors, whole(now + lease), self)
redis.call('PEXPIRE', donors, 60000)
local present = redis.call('ZCARD', donors)

local state = redis.call('HMGET', tokens, 'at', 'made', 'all', 'all:f', 'all:h',
  endpoint, endpoint .. ':at', endpoint .. ':made', endpoint .. ':f', endpoint .. ':h')
local at = tonumber(state[1] or now)
local passed = 0
if constant > 0 then passed = math.max(0, now - at) / 1000000 end

-- The part of the rate that is left after a 429, at a time: it comes back in ten seconds.
local function part(f, h, when)
  return math.max(0.01, math.min(1, f + math.max(0, when - h) / 10000000))
end

-- A bucket that is not known is empty.
local fa, ha = tonumber(state[4] or 1), tonumber(state[5] or 0)
local rest = sane(tonumber(state[3] or 0), -1000, 1e6)
-- At the rate of the beginning: since then it has only grown.
rest = math.min(all.burst, rest + passed * rate(all, constant) * part(fa, ha, at))
if cutall and now - ha >= 1000000 then
  fa, ha, rest = part(fa, ha, now) / 2, now, math.min(rest, 0)
end

-- What a bucket of an endpoint was filled with since the beginning: each remembers how
-- much of it it has seen.
local made = sane(tonumber(state[2] or 0), 0, 1e15) + passed * rate(each, constant)

local granted, promised, wait, token, drawing = 0, 0, 0, 0, 0
if want > 0 then
  local f, h = tonumber(state[9] or 1), tonumber(state[10] or 0)
  local held = sane(tonumber(state[6] or 0), -1000, 1e6)
  local new = math.max(0, made - tonumber(state[8] or made))
  held = math.min(each.burst, held + new * part(f, h, tonumber(state[7] or now)))
  if cut and now - h >= 1000000 then
    f, h, held = part(f, h, now) / 2, now, math.min(held, 0)
  end

  granted = math.max(0, math.min(want, math.floor(held), math.floor(rest)))
  held, rest = held - granted, rest - granted
  local r, ra = rate(each, present) * part(f, h, now), rate(all, present) * part(fa, ha, now)
  if r > 0 and ra > 0 then
    token = math.ceil(1000000 / math.min(r, ra))
    if granted < want then
      wait = math.ceil(1000000 * math.max(0, (1 - held) / r, (1 - rest) / ra))
      if wait <= ahead then
        promised, held, rest = 1, held - 1, rest - 1
      else
        wait = wait - ahead
      end
    end
  else
    wait = ahead
  end

  redis.call('ZREMRANGEBYSCORE', busy, '-inf', '(' .. whole(now - memory))
  redis.call('ZREMRANGEBYSCORE', busy, '(' .. whole(now), '+inf')
  if granted + promised < want then
    redis.call('ZADD', busy, whole(now), self)
    redis.call('PEXPIRE', busy, 60000)
  else
    redis.call('ZREM', busy, self)
  end
  drawing = math.max(1, redis.call('ZCARD', busy))
  redis.call('HSET', tokens, endpoint, exact(held), endpoint .. ':at', whole(now),
    endpoint .. ':made', exact(made), endpoint .. ':f', exact(f), endpoint .. ':h', whole(h))
end
redis.call('HSET', tokens, 'at', whole(now), 'made', exact(made),
  'all', exact(rest), 'all:f', exact(fa), 'all:h', whole(ha))
redis.call('PEXPIRE', tokens, 60000)
return {now, 1, granted, promised, wait, token, drawing}
