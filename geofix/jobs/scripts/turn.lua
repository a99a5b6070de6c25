-- Reach a state from one of others. ARGV: state, JSON list of those. Returns 1 when it did.
local state = redis.call('HGET', job, 'state')
for _, from in ipairs(cjson.decode(ARGV[2])) do
  if state == from then
    turn(ARGV[1])
    return 1
  end
end
return 0
