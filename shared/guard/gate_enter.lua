-- May a call begin now? One atomic answer about the provider's circuit, its free places and its rates.
-- KEYS: 1 circuit (hash)  2 places (sorted set: call -> when it is given up)  3 requests, 4 tokens (theoretical arrival)
-- ARGV: 1 call  2 places  3 s a place is held at most  4 s a probe may take
--       5 requests a minute  6 tokens a minute  7 tokens of this call  8 burst, in seconds of the rate
-- Answers {why not, s until another try, probing}; an empty reason means: go.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local circuit = redis.call('HMGET', KEYS[1], 'asked_until', 'open_until', 'opened', 'probe_until')
local asked_until, open_until = tonumber(circuit[1] or 0), tonumber(circuit[2] or 0)
local tripped, probe_until = tonumber(circuit[3] or 0) > 0, tonumber(circuit[4] or 0)

local function no(reason, until_s) return { reason, tostring(math.max(0.05, until_s - now)), 0 } end

if asked_until > now then return no('asked', asked_until) end
if open_until > now then return no('open', open_until) end
if tripped and probe_until > now then return no('probing', math.min(probe_until, now + 5)) end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return no('busy', now + 0.25) end

-- Each rate is a moment that every call moves on by its share of a minute; it may run ahead by the burst.
local burst, moved, wait_until = tonumber(ARGV[8]), {}, 0
for index, use in ipairs({ { KEYS[3], 1, tonumber(ARGV[5]) }, { KEYS[4], tonumber(ARGV[7]), tonumber(ARGV[6]) } }) do
  local share = math.min(60, use[2] * 60 / use[3]) -- a call above a whole minute's rate goes when nothing else does
  local arrival = math.max(tonumber(redis.call('GET', use[1]) or 0), now)
  if arrival > now and arrival + share > now + math.max(burst, share) then
    wait_until = math.max(wait_until, arrival + share - math.max(burst, share))
  end
  moved[index] = { use[1], arrival + share }
end
if wait_until > now then return no('rate', wait_until) end

for _, move in ipairs(moved) do redis.call('SET', move[1], string.format('%.6f', move[2]), 'EX', 180) end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[2], 900)
if tripped then redis.call('HSET', KEYS[1], 'probe_until', now + tonumber(ARGV[4]), 'probe', ARGV[1]) end
return { '', '0', tripped and 1 or 0 }
