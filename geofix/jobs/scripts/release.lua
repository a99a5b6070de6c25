-- Give a lease back. ARGV: id, chunk, token. Returns how many leases of the job are left.
local id, chunk, token = unpack(ARGV)
if redis.call('HGET', held, chunk) == token then
  redis.call('HDEL', held, chunk)
  redis.call('HDEL', sends, chunk)
  redis.call('ZREM', leases, id .. ':' .. chunk)
  redis.call('HINCRBY', tries, chunk, -1)
  redis.call('ZADD', todo, 'XX', 0, chunk)
end
return redis.call('HLEN', held)
