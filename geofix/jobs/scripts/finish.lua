-- The round is over. ARGV: id, state, when to delete the job, problem or '', completed, failed, when.
local _, _, _, _, _, _, _, _, _, running, _, retention = unpack(KEYS)
local id, state, delete_at, problem, completed, failed, at = unpack(ARGV)
local before = redis.call('HGET', job, 'state')
if not before or before == state then return 0 end
if problem ~= '' then redis.call('HSET', job, 'problem', problem) end
for _, chunk in ipairs(redis.call('HKEYS', held)) do
  redis.call('ZREM', leases, id .. ':' .. chunk)
end
redis.call('DEL', todo, held, sends, tries)
redis.call('HSET', job, 'completed', completed, 'failed', failed)
redis.call('SREM', open, id)
redis.call('HDEL', running, id)
redis.call('ZADD', retention, delete_at, id)
turn(state)
redis.call('HSET', job, 'at:' .. state, at)
return 1
