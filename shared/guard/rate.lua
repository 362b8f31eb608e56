-- One bucket that refills continuously: a moment that every request moves on by its share of the window (GCRA).
-- KEYS: 1 the bucket's moment.  ARGV: 1 units a window  2 window, s  3 units of this request
-- Answers {1 if it may go, units left, s until as much as this fits again}.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local then_full_at = full_at + cost * window / limit
local over_s = then_full_at - now - window
if over_s > 0.000001 then
  return { 0, math.floor((window - (full_at - now)) * limit / window), tostring(over_s) }
end
redis.call('SET', KEYS[1], string.format('%.6f', then_full_at), 'PX', math.ceil((then_full_at - now) * 1000) + 1000)
return { 1, math.floor((window - (then_full_at - now)) * limit / window + 0.000001), tostring(window / limit) }
