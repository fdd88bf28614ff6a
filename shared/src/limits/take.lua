-- Takes one of every bucket, or of none of them; answers how many milliseconds to wait, 0 if it took, and -1 if it took of
-- all but the account's, which is besieged.
--
-- A bucket is the moment at which it is full again (GCRA). KEYS are buckets. Where ARGV[2], the delay of a siege, is not
-- 0 (with ARGV[3], how long after it one may try), the last three are the account's bucket, which refuses nobody by itself, and two that matter once it is empty:
-- since when this client waits, and whether it is familiar. ARGV: now, delay, patience, then burst and interval of each
-- bucket.
local now, delay, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local buckets = delay > 0 and #KEYS - 2 or #KEYS
local wait, after, took = 0, {}, 0
for i = 1, buckets do
  local burst, interval = tonumber(ARGV[2 + 2 * i]), tonumber(ARGV[3 + 2 * i])
  after[i] = math.max(tonumber(redis.call('GET', KEYS[i])) or now, now) + interval
  local over = after[i] - burst * interval - now
  if over > 0 and (delay == 0 or i < buckets) then
    wait = math.max(wait, over)
  elseif over > 0 then
    after[i], took = nil, -1
    if redis.call('EXISTS', KEYS[i + 2]) == 0 then
      local free = tonumber(redis.call('GET', KEYS[i + 1]))
      if free and free + patience <= now then
        free = nil
      end
      if not free or (free <= now and wait == 0) then
        -- Whoever comes for the first time waits, and whoever has waited tries, and waits again.
        redis.call('SET', KEYS[i + 1], now + delay, 'PX', delay + patience)
      end
      wait = math.max(wait, free and free - now or delay)
    end
  end
end
if wait > 0 then
  return wait
end
for i, free in pairs(after) do
  redis.call('SET', KEYS[i], free, 'PX', free - now)
end
return took
