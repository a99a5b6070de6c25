-- Chunks to send now, so that ARGV[1] of them are with the workers.
if not runs() then return {} end
local free = tonumber(ARGV[1]) - redis.call('ZCOUNT', todo, '(0', '+inf')
if free <= 0 then return {} end
local chunks, t = redis.call('ZRANGEBYSCORE', todo, 0, 0, 'LIMIT', 0, free), now()
for _, chunk in ipairs(chunks) do redis.call('ZADD', todo, t, chunk) end
return chunks
