n = ARGV[0] == 'full' ? 40 : 4
x = 1
r = ->(m) { x = (x * 1103515245 + 12345) % 2147483648; (x >> 8) % m }
sum = 0
kept = {}
n.times do |round|
  rows = Array.new(20000) { |i| { id: i, s: 'x' * r.(200), v: r.(1000) } }
  rows.sort_by! { |q| [q[:v], q[:id]] }
  rows.each_slice(7) { |q| sum = (sum * 31 + q[0][:s].length + q[0][:v]) % 1000000007 }
  kept[round % 5] = rows
end
puts sum
