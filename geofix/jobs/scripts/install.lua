-- Put a job's state in place, unless it is there (or by force).
-- ARGV: JSON {id, force, terminal, fields, todo, tries, items, bytes, quota}
local _, _, _, _, _, _, _, _, owned, running, bytes = unpack(KEYS)
local a = cjson.decode(ARGV[1])
if redis.call('EXISTS', job) == 1 and not a.force then return 'there' end
if a.quota then
  local items, size = a.items, a.bytes
  for _, n in ipairs(redis.call('HVALS', running)) do items = items + tonumber(n) end
  for _, n in ipairs(redis.call('HVALS', bytes)) do size = size + tonumber(n) end
  if redis.call('HLEN', running) >= a.quota.running then return 'running' end
  if items > a.quota.items then return 'items' end
  if size > a.quota.bytes then return 'bytes' end
end
local before = redis.call('HMGET', job, 'redeliveries', 'duplicates')
redis.call('DEL', job, todo, tries, sends)
for name, value in pairs(a.fields) do redis.call('HSET', job, name, value) end
for i, name in ipairs({'redeliveries', 'duplicates'}) do
  if tonumber(before[i] or 0) > tonumber(a.fields[name]) then
    redis.call('HSET', job, name, before[i])
  end
end
for _, chunk in ipairs(a.todo) do redis.call('ZADD', todo, 0, chunk) end
for chunk, n in pairs(a.tries) do redis.call('HSET', tries, chunk, n) end
redis.call('ZADD', owned, 0, a.id)
redis.call('HSET', bytes, a.id, string.format('%.0f', a.bytes))
if a.terminal then
  redis.call('SREM', open, a.id)
  redis.call('HDEL', running, a.id)
else
  redis.call('SADD', open, a.id)
  redis.call('HSET', running, a.id, string.format('%.0f', a.items))
end
tell('state')
return 'ok'
