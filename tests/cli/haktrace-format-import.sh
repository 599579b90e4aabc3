# import: the formats without threads and times, told apart by their first line, and how errors in
# them are said.
set -eu
golden=$TOP/tests/golden

for format in rep mtrace heaptrack heaptrack-raw; do
    sample=$golden/import.$format.txt
    [ -e "$sample" ] || sample=$golden/import.$format
    haktrace import -q -o t.zst "$sample"
    haktrace verify t.zst >/dev/null
    haktrace dump t.zst | cmp - "$golden/import.$format.dump"
    haktrace import -q -f $format -o - - <"$sample" >piped.zst
    haktrace dump piped.zst | cmp - "$golden/import.$format.dump"
    zstd -q -c "$sample" >packed.zst
    haktrace import -q -o t2.zst packed.zst
    haktrace dump t2.zst | cmp - "$golden/import.$format.dump"
    haktrace info t.zst >info.txt
    grep -q 'times are real  *no' info.txt
    grep -q 'threads are real  *no' info.txt
    case $format in
    heaptrack) grep -q 'frees matched exactly  *no' info.txt ;;
    *) grep -q 'frees matched exactly  *yes' info.txt ;;
    esac
done
haktrace import -q -o t.zst "$golden/v1.android.txt"

expect() { # CODE PATTERN COMMAND...
    want=$1 pattern=$2
    shift 2
    code=0
    "$@" >out 2>err || code=$?
    [ "$code" = "$want" ] && grep -q "$pattern" err || {
        echo "exit code $code, not $want, or no '$pattern': $*"
        cat err
        exit 1
    }
}
printf '1\n2\n2\n1\na 0 8\nf 1\n' >bad.rep
expect 4 'line 6.*not allocated' haktrace import -o t.zst bad.rep
expect 4 'byte 14' haktrace import -o t.zst bad.rep
printf '1\n2\n3\n1\na 0 8\nf 0\n' >short.rep
expect 4 'fewer ops' haktrace import -o t.zst short.rep
printf '= Start\n@ x + 0x10 0x20\n@ x < 0x10\n' >cut.log
expect 4 'line 3.*without' haktrace import -o t.zst cut.log
printf 'v 1 2\n+ 20 1 7ffff\n' >raw.txt
expect 4 'line 2.*heaptrack-raw' haktrace import -o t.zst raw.txt
echo 'hello' >none.txt
expect 2 'none of the formats' haktrace import -o t.zst none.txt
expect 2 'not one of' haktrace import -f nothing -o t.zst none.txt
expect 2 'must be given' haktrace import -o t.zst -

# An address handed out twice: a free is missing, and the claim of exact ids goes.
printf '@ x + 0x10 0x20\n@ x + 0x10 0x30\n' >twice.log
expect 0 'were added' haktrace import -o t.zst twice.log
haktrace info t.zst | grep -q 'frees matched exactly  *no'

# An import that fails leaves what stood at the output's place, and nothing beside it.
cp t.zst kept.zst
expect 4 'line 6' haktrace import -o kept.zst bad.rep
cmp t.zst kept.zst
expect 4 'line 6' haktrace import -o new.zst bad.rep
[ ! -e new.zst ] && [ -z "$(ls ./*.part 2>/dev/null)" ]
