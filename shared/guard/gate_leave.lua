-- A call has ended: its place is free, its tokens are known, and the circuit has learnt something.
-- KEYS: as on entering.
-- ARGV: 1 call  2 outcome: success | failure | empty (no credit) | neutral  3 tokens more (or fewer) than were expected
--       4 tokens a minute  5 s the provider asked us to stay away  6 failures that open  7 of the calls at least (share)
--       8 s of the window  9 s open at first  10 s open at most
-- Answers {failures in the window, s that the circuit is now open}.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local outcome = ARGV[2]
redis.call('ZREM', KEYS[2], ARGV[1])

local more, arrival = tonumber(ARGV[3]), redis.call('GET', KEYS[4])
if more ~= 0 and arrival then
  redis.call('SET', KEYS[4], string.format('%.6f', tonumber(arrival) + more * 60 / tonumber(ARGV[4])), 'EX', 180)
end

local asked_s = tonumber(ARGV[5])
if asked_s > 0 then
  local until_s = math.max(now + asked_s, tonumber(redis.call('HGET', KEYS[1], 'asked_until') or 0))
  redis.call('HSET', KEYS[1], 'asked_until', string.format('%.6f', until_s))
end

local probing = redis.call('HGET', KEYS[1], 'probe') == ARGV[1]
if probing then redis.call('HDEL', KEYS[1], 'probe', 'probe_until') end
if outcome == 'neutral' then return { 0, '0' } end

local function open()
  local opened = redis.call('HINCRBY', KEYS[1], 'opened', 1)
  local open_s = math.min(tonumber(ARGV[10]), tonumber(ARGV[9]) * 2 ^ (opened - 1))
  if outcome == 'empty' then open_s = tonumber(ARGV[10]) end
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.6f', now + open_s))
  return open_s
end

-- Ten slices of the window, each counted by itself; older ones are dropped.
local width = tonumber(ARGV[8]) / 10
local slice, good, bad = math.floor(now / width), 0, 0
if outcome == 'success' then
  redis.call('HINCRBY', KEYS[1], 'good:' .. slice, 1)
  if probing then -- it works again: closed, and what was is forgotten
    redis.call('HDEL', KEYS[1], 'opened', 'open_until', 'asked_until')
  end
else
  redis.call('HINCRBY', KEYS[1], 'bad:' .. slice, 1)
end
local fields = redis.call('HGETALL', KEYS[1])
for index = 1, #fields, 2 do
  local kind, at = string.match(fields[index], '^(%a+):(%d+)$')
  if kind and (tonumber(at) <= slice - 10 or (outcome == 'success' and probing)) then
    redis.call('HDEL', KEYS[1], fields[index])
  elseif kind == 'good' then good = good + tonumber(fields[index + 1])
  elseif kind == 'bad' then bad = bad + tonumber(fields[index + 1]) end
end
redis.call('EXPIRE', KEYS[1], 3600)

local open_s, open_until = 0, tonumber(redis.call('HGET', KEYS[1], 'open_until') or 0)
if outcome == 'empty' or (probing and outcome == 'failure') then open_s = open()
elseif outcome == 'failure' and open_until <= now and not (tonumber(redis.call('HGET', KEYS[1], 'opened') or 0) > 0)
  and bad >= tonumber(ARGV[6]) and bad >= tonumber(ARGV[7]) * (good + bad) then open_s = open() end
return { bad, tostring(open_s) }
