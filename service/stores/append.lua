-- Merge events into one user's sequence: the same rule and form as service/stores/packed.py.
-- KEYS[1] the sequence; ARGV[1] how many events are kept, ARGV[2] for how many milliseconds (0: for ever);
-- ARGV[3...] one packed entry an event.
-- -> one status an event: 0 accepted, 1 duplicate, 2 late.
-- Numbers stay below 2^53, so Lua's doubles are exact. Item ids are compared byte by byte: Lua's < follows the locale.
local limit, milliseconds = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = 0  -- kept entries, oldest first, in three parallel lists: cheaper than a table an entry
local times, keys, entries, known_keys = {}, {}, {}, {}

local function bytes_less(a, b, from)
  for at = from, math.min(#a, #b) do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function insert(time, key, entry)
  local at = count + 1  -- almost always here: events arrive in order
  while at > 1 and (times[at - 1] > time or (times[at - 1] == time and keys[at - 1] > key)) do at = at - 1 end
  table.insert(times, at, time)
  table.insert(keys, at, key)
  table.insert(entries, at, entry)
  known_keys[key] = true
  count = count + 1
end

local function remove(at)
  known_keys[keys[at]] = nil
  table.remove(times, at)
  table.remove(keys, at)
  table.remove(entries, at)
  count = count - 1
end

local function replace_if_newer(time, key, entry)  -- by (timestamp, item_id), which starts after 15 bytes
  local at = 1
  while keys[at] ~= key do at = at + 1 end
  if times[at] < time or (times[at] == time and bytes_less(entries[at], entry, 16)) then
    remove(at)
    insert(time, key, entry)
  end
end

local before = redis.call('GET', KEYS[1]) or ''
local at = 1
while at <= #before do
  local time, key, length = struct.unpack('>I7I6I2', before, at)
  if at + 14 + length > #before then return redis.error_reply('a stored sequence must end with an entry') end
  count = count + 1
  times[count], keys[count], entries[count] = time, key, string.sub(before, at, at + 14 + length)
  known_keys[key] = true
  at = at + 15 + length
end
while count > limit do remove(1) end  -- the limit was lowered

local statuses = {}
for i = 3, #ARGV do
  local time, key = struct.unpack('>I7I6', ARGV[i])
  if known_keys[key] then
    statuses[i - 2] = 1
    replace_if_newer(time, key, ARGV[i])
  elseif count == limit and (time < times[1] or (time == times[1] and key < keys[1])) then
    statuses[i - 2] = 2
  else
    statuses[i - 2] = 0
    if count == limit then remove(1) end
    insert(time, key, ARGV[i])
  end
end

local after = table.concat(entries)
if after ~= before then redis.call('SET', KEYS[1], after) end
if milliseconds > 0 then redis.call('PEXPIRE', KEYS[1], milliseconds) end
return statuses
