-- Lease a chunk. ARGV: id, chunk, token, seconds. Returns {word, attempt, round}.
local id, chunk, token, seconds = unpack(ARGV)
if redis.call('EXISTS', job) == 0 then return {'missing', 0, 0} end
local sent = redis.call('ZSCORE', todo, chunk)
if not runs() or not sent then return {'no', 0, 0} end
local round = tonumber(redis.call('HGET', job, 'round'))
local member, t = id .. ':' .. chunk, now()
local ends = redis.call('ZSCORE', leases, member)
local holder = redis.call('HGET', held, chunk)
if holder == token then -- asked twice, as the first answer was lost
  return {'ok', tonumber(redis.call('HGET', tries, chunk)), round}
end
if ends and tonumber(ends) > t then return {'busy', 0, 0} end
if holder then
  redis.call('HINCRBY', job, 'redeliveries', 1)
  count('redelivered', 1)
end
redis.call('HSET', held, chunk, token)
redis.call('ZADD', leases, t + seconds, member)
if tonumber(sent) == 0 then redis.call('ZADD', todo, t, chunk) end
if redis.call('HGET', job, 'state') == 'validating' then turn('in_progress') end
return {'ok', redis.call('HINCRBY', tries, chunk, 1), round}
