-- Gives back one of every bucket. ARGV: now, then the interval of each.
local now = tonumber(ARGV[1])
for i = 1, #KEYS do
  local free = (tonumber(redis.call('GET', KEYS[i])) or 0) - tonumber(ARGV[1 + i])
  if free > now then
    redis.call('SET', KEYS[i], free, 'PX', free - now)
  else
    redis.call('DEL', KEYS[i])
  end
end
