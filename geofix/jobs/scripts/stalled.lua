-- Sent chunks that nobody works on. ARGV: id, seconds of patience, '1' to double it every time.
-- Returns {how many had lost their lease, chunk, chunk, …}, to be sent again.
local id, patience, doubling = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local found, t = {0}, now()
if not runs() then return found end
local sent = redis.call('ZRANGEBYSCORE', todo, '(0', '+inf', 'WITHSCORES')
for i = 1, #sent, 2 do
  local chunk, since = sent[i], tonumber(sent[i + 1])
  local ends = redis.call('ZSCORE', leases, id .. ':' .. chunk)
  local again = false
  if ends and tonumber(ends) <= t then
    redis.call('ZREM', leases, id .. ':' .. chunk)
    redis.call('HDEL', held, chunk)
    redis.call('HINCRBY', job, 'redeliveries', 1)
    found[1] = found[1] + 1
    again = true
  elseif not ends then
    local times = tonumber(redis.call('HGET', sends, chunk) or 0)
    local wait = patience * (doubling and 2 ^ math.min(times, 6) or 1)
    if t - since > wait then
      redis.call('HINCRBY', sends, chunk, 1)
      again = true
    end
  end
  if again then
    redis.call('ZADD', todo, t, chunk)
    table.insert(found, chunk)
  end
end
return found
