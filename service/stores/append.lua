-- Merge events into one user's sequence: the same rule and form as service/stores/packed.py.
-- KEYS[1] the sequence; ARGV[1] how many events are kept; ARGV[2] seconds until an untouched key expires (0: never);
-- ARGV[3...] one packed record an event.  -> one status an event: 0 accepted, 1 duplicate, 2 late.
-- Numbers stay below 2^53, so Lua's doubles are exact. Strings are compared byte by byte, never by locale.
local limit = tonumber(ARGV[1])

local function number(text, first, last)
  local value = 0
  for at = first, last do value = value * 256 + string.byte(text, at) end
  return value
end

local function bytes_less(a, b)
  for at = 1, math.min(#a, #b) do
    local x, y = string.byte(a, at), string.byte(b, at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function older(a, b)
  if a.time ~= b.time then return a.time < b.time end
  if a.key ~= b.key then return a.key < b.key end
  return bytes_less(a.raw, b.raw)
end

local function record(text, at)
  local stop = at + 14 + number(text, at + 13, at + 14)
  return {time = number(text, at, at + 6), key = number(text, at + 7, at + 12), raw = string.sub(text, at, stop)}, stop
end

local function same_key_older(a, b)  -- by (timestamp, item_id): what follows the 15 bytes of the header
  if a.time ~= b.time then return a.time < b.time end
  return bytes_less(string.sub(a.raw, 16), string.sub(b.raw, 16))
end

local before = redis.call('GET', KEYS[1]) or ''
local kept, by_key, at = {}, {}, 1
while at <= #before do
  local found, stop = record(before, at)
  kept[#kept + 1] = found
  by_key[found.key] = found
  at = stop + 1
end

local statuses = {}
for i = 3, #ARGV do
  local event = record(ARGV[i], 1)
  local known = by_key[event.key]
  if known then
    statuses[#statuses + 1] = 1
    if same_key_older(known, event) then known.time, known.raw = event.time, event.raw end
  else
    kept[#kept + 1] = event
    by_key[event.key] = event
    statuses[#statuses + 1] = 0
    if #kept > limit then
      local oldest = 1
      for j = 2, #kept do if older(kept[j], kept[oldest]) then oldest = j end end
      if kept[oldest] == event then statuses[#statuses] = 2 end
      by_key[kept[oldest].key] = nil
      table.remove(kept, oldest)
    end
  end
end

table.sort(kept, older)
local packed = {}
for i = 1, #kept do packed[i] = kept[i].raw end
local after = table.concat(packed)
if after ~= before then
  redis.call('SET', KEYS[1], after)
end
if tonumber(ARGV[2]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return statuses
