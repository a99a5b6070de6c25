-- Goes before every script: names for its keys, and what several of them do.
local job, events, todo, held, tries, sends, leases, open = unpack(KEYS)

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) + tonumber(t[2]) / 1e6
end

local function tell(kind)
  local f = redis.call('HMGET', job, 'state', 'total', 'completed', 'failed')
  local data = string.format(
    '{"state":"%s","request_counts":{"total":%d,"completed":%d,"failed":%d}}',
    f[1], f[2], f[3], f[4])
  redis.call('XADD', events, 'MAXLEN', '~', 20000, '*', 'kind', kind, 'data', data)
end

local function turn(state)
  redis.call('HSET', job, 'state', state, 'at:' .. state, now())
  tell('state')
end

local function runs()
  local state = redis.call('HGET', job, 'state')
  return state == 'validating' or state == 'in_progress'
end

local function count(name, n)
  redis.call('HINCRBY', 'geofix:totals', name, n)
end
