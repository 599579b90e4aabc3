local n = arg[1] == "full" and 60 or 6
local x, sum = 1, 0
local function r(m) x = (x * 1103515245 + 12345) % 2147483648; return (x >> 8) % m end
local kept = {}
for round = 1, n do
    local t = {}
    for i = 1, 20000 do t[i] = {id = i, s = string.rep(string.char(97 + r(26)), r(200)), v = r(1000)} end
    table.sort(t, function(a, b) if a.v ~= b.v then return a.v < b.v end return a.id < b.id end)
    local parts = {}
    for i = 1, #t, 7 do parts[#parts + 1] = t[i].s .. t[i].v end
    local text = table.concat(parts)
    for w in text:gmatch("%a%d+") do sum = (sum * 31 + #w + w:byte()) % 1000000007 end
    kept[round % 5] = t
    local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield({i}) end end)
    for _ = 1, 1000 do sum = sum + co()[1] end
end
print(sum)
