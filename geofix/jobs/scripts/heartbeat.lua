-- Keep a lease, or take it back where nobody has it. ARGV: id, chunk, token, seconds.
local id, chunk, token, seconds = unpack(ARGV)
if not runs() or not redis.call('ZSCORE', todo, chunk) then return 0 end
local holder = redis.call('HGET', held, chunk)
if holder and holder ~= token then return 0 end
redis.call('HSET', held, chunk, token)
redis.call('ZADD', leases, now() + seconds, id .. ':' .. chunk)
return 1
