-- A chunk's outcomes are written. ARGV: id, chunk, round, completed, failed, duplicates.
-- Returns how many chunks are left; -1 when there is no such job, -2 in another round.
local id, chunk, round, completed, failed, duplicates = unpack(ARGV)
if redis.call('EXISTS', job) == 0 then return -1 end
if tonumber(duplicates) > 0 then redis.call('HINCRBY', job, 'duplicates', duplicates) end
if redis.call('HGET', job, 'round') ~= round then return -2 end
redis.call('HDEL', held, chunk)
redis.call('HDEL', sends, chunk)
redis.call('ZREM', leases, id .. ':' .. chunk)
if redis.call('ZREM', todo, chunk) == 1 then
  redis.call('HINCRBY', job, 'completed', completed)
  redis.call('HINCRBY', job, 'failed', failed)
  count('completed', completed)
  count('failed', failed)
  redis.call('HSET', 'geofix:totals', 'settled_at', now())
  tell('progress')
end
return redis.call('ZCARD', todo)
