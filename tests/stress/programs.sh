#!/bin/bash
# Runs other people's programs with and without a library of this project, and compares what they
# put out, byte for byte. A difference, a crash or a hang is a failure.
#
#   tests/stress/programs.sh [--quick] [--with=hakmem|haktrace|PATH.so]... [CASE...]
#
#   --with=hakmem    under LD_PRELOAD=build/lib/libhakmem.so (the default)
#   --with=haktrace  under `haktrace -o … --`; each trace must then verify
#   --with=PATH.so   under any other library
#   --quick          smaller inputs: under a minute in all
#   --list           names the cases
#
# HAKMEM_* settings pass through, so HAKMEM_POLICY=eager tests/stress/programs.sh tests a policy.
# A case whose program is not installed says SKIP. HAK_RESULTS=FILE adds a line
# "pass|fail|skip <tab> name <tab> seconds" a case.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
data=$top/tests/stress/data
cases='python python-threads python-tests gcc cxx git sqlite redis nginx postgres perl lua bash node'
cases="$cases java ruby make"

# ---- the cases: each runs in an empty folder with "${W[@]}" before the program under test -------

# A case leaves what is compared in out/. Exit code 77 = the program is not installed.
need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || {
            echo "$program is not installed"
            exit 77
        }
    done
}

case_python() {
    need python3
    PYTHONMALLOC=malloc PYTHONHASHSEED=0 "${W[@]}" python3 "$data/work.py" "$size" >out/text
}

case_python-threads() {
    need python3
    PYTHONMALLOC=malloc PYTHONHASHSEED=0 "${W[@]}" python3 "$data/threads.py" "$size" >out/text
}

case_python-tests() {
    need python3
    python3 -c 'import test.test_json, test.test_dict' 2>/dev/null || {
        echo "python3's own tests are not installed (Debian: libpython3-testsuite)"
        exit 77
    }
    local tests=(test_json test_dict test_struct)
    # test_sqlite3 is not in Debian's package, test_concurrent_futures takes minutes
    [ "$size" = small ] || tests+=(test_list test_set test_tuple test_bytes test_string test_format test_re
        test_unicode test_long test_decimal test_bigmem test_io test_mmap test_zlib test_bz2 test_lzma
        test_hashlib test_queue test_deque test_collections test_ordered_dict test_array
        test_memoryview test_pickle test_copy test_csv test_xml_etree test_sort test_heapq test_itertools
        test_functools test_generators test_enum test_descr test_exceptions test_gc test_weakref test_ast
        test_tokenize test_compile test_threading) # the last leaves a trace function behind
    PYTHONMALLOC=malloc "${W[@]}" python3 -m test "${tests[@]}" >log 2>&1 || true
    cat log
    sed -n 's/^\(.* tests* OK\.\|.* tests* failed:\|.* tests* skipped:\|Result: .*\|Tests result: .*\)$/\1/p' log >out/text
    grep -q 'result: SUCCESS' log
}

case_gcc() {
    need gcc python3
    local functions=1500
    [ "$size" = full ] || functions=150
    python3 "$data/make_c.py" $functions >large.c
    "${W[@]}" gcc -O2 -g -c -o out/large.o large.c
}

case_cxx() {
    need g++
    g++ -std=c++17 -O1 -pthread -o cxx "$data/exceptions.cc"
    "${W[@]}" ./cxx "$size" >out/text
}

case_git() {
    need git python3
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2025-12-01T00:00:00Z'
    export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org
    export GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
    git config --global init.defaultBranch main
    git config --global pack.threads 2
    git config --global gc.autoDetach false
    python3 "$data/make_history.py" "$size" >stream
    git init -q --bare repo
    "${W[@]}" git -C repo fast-import --quiet <stream
    "${W[@]}" git clone -q --no-local repo clone
    "${W[@]}" git -C clone gc -q --aggressive
    "${W[@]}" git -C clone fsck --full --strict >out/fsck 2>&1
    "${W[@]}" git -C clone log --stat -p >out/log
    "${W[@]}" git -C clone rev-list --objects --all | sort >out/objects
    "${W[@]}" git -C clone blame file3.txt >out/blame
    "${W[@]}" git -C clone diff --stat 'HEAD~20' >out/diff
}

case_sqlite() {
    need sqlite3
    local rows=300000
    [ "$size" = full ] || rows=40000
    sed "s/@ROWS@/$rows/" "$data/work.sql" >work.sql
    "${W[@]}" sqlite3 :memory: <work.sql >out/text
}

# Debian's redis-server calls plain malloc, which libjemalloc.so provides unless something is
# preloaded before it: so a preload does serve its data. The case proves it, where it can.
case_redis() {
    local n=100000 pid rc=0
    [ "$size" = full ] || n=3000
    if ! command -v redis-server >/dev/null && command -v redis-check-rdb >/dev/null; then
        # the same program: Debian's redis-server package only adds a link and a service
        mkdir bin
        ln -s "$(command -v redis-check-rdb)" bin/redis-server
        PATH=$PWD/bin:$PATH
    fi
    need redis-server redis-benchmark redis-cli
    if [ -n "${HAK_LIB:-}" ]; then
        LD_DEBUG=bindings "${W[@]}" redis-server --version 2>&1 |
            grep -q "redis-server.* to $HAK_LIB .*symbol .malloc'" ||
            echo "note: redis-server's own malloc is not $HAK_LIB (its libraries' calls are)"
    fi
    "${W[@]}" redis-server --port 0 --unixsocket "$PWD/s" --save '' --appendonly no --io-threads 2 \
        --lazyfree-lazy-user-del yes --enable-debug-command yes --daemonize no >server.log 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        [ "$(redis-cli -s s ping 2>/dev/null)" != PONG ] || break
        sleep 0.1
    done
    {
        redis-benchmark -s s -q -n $n -c 20 -P 8 -d 300 \
            -t set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,zadd,lrange_100,mset &&
            python3 "$data/make_redis.py" $n | redis-cli -s s --pipe >pipe.log &&
            redis-cli -s s debug digest >out/digest &&
            redis-cli -s s eval 'local t = {} for i = 1, 20000 do t[i] = "v" .. i end
                return redis.sha1hex(table.concat(t))' 0 >out/lua &&
            redis-cli -s s dbsize >out/dbsize
    } >bench.log 2>&1 || rc=1
    redis-cli -s s shutdown nosave >/dev/null 2>&1
    wait $pid || rc=1
    [ $rc -eq 0 ] || cat server.log bench.log
    return $rc
}

# A master and two workers, which the recorder follows.
case_nginx() {
    need nginx python3
    local pid rc=0
    [ "$size" = full ] && n=3000 || n=200
    mkdir -p www logs
    for i in $(seq 50); do seq "$i" $((i * 40)) >"www/$i.txt"; done
    cat >nginx.conf <<END
daemon off; worker_processes 2; pid $PWD/pid; error_log logs/error.log; events { worker_connections 128; }
http { access_log off; client_body_temp_path $PWD/t1; proxy_temp_path $PWD/t2; fastcgi_temp_path $PWD/t3;
  uwsgi_temp_path $PWD/t4; scgi_temp_path $PWD/t5; gzip on; gzip_types text/plain; gzip_min_length 10;
  server { listen unix:$PWD/s; root $PWD/www; location /old { return 301 /1.txt; } } }
END
    chmod -R o+rX "$PWD"/.. # the workers of a master that root starts are somebody else
    HAK_TRACE_OPTIONS=--follow=fork "${W[@]}" nginx -p "$PWD" -c "$PWD/nginx.conf" >server.log 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        [ ! -S s ] || break
        sleep 0.1
    done
    python3 "$data/get_http.py" s "$n" >out/text || rc=1
    [ ! -s pid ] || kill -QUIT "$(cat pid)"
    wait $pid || rc=1
    [ $rc -eq 0 ] || cat server.log logs/error.log
    return $rc
}

# initdb, which starts other programs, and a server with a process for each client.
case_postgres() {
    local bin pid rc=0 as=() n=300
    bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
    [ -n "$bin" ] && [ -x "$bin/initdb" ] && [ -x "$bin/pgbench" ] || need "postgresql's initdb and pgbench"
    [ "$size" = full ] || n=40
    if [ "$(id -u)" = 0 ]; then # it does not run as root
        id postgres >/dev/null
        chmod o+x "$PWD"/..
        chown -R postgres . ${HAK_TRACES:+"$HAK_TRACES"}
        as=(runuser -u postgres --)
    fi
    PATH=$bin:$PATH HAK_TRACE_OPTIONS=--follow=exec "${as[@]}" "${W[@]}" initdb -D data -A trust --no-sync \
        --locale=C --no-instructions >initdb.log 2>&1 || { cat initdb.log; return 1; }
    HAK_TRACE_OPTIONS=--follow=fork "${as[@]}" "${W[@]}" "$bin/postgres" -D data -k "$PWD" -h '' -c fsync=off \
        >server.log 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        ! "${as[@]}" "$bin/pg_isready" -q -h "$PWD" || break
        sleep 0.1
    done
    {
        "${as[@]}" "$bin/pgbench" -h "$PWD" -i -s 1 postgres &&
            "${as[@]}" "$bin/pgbench" -h "$PWD" -c 4 -j 2 -t $n --random-seed=7 postgres
    } >bench.log 2>&1 || rc=1
    "${as[@]}" "$bin/psql" -h "$PWD" -At postgres -c 'select sum(abalance), count(*) from pgbench_accounts' \
        -c 'select sum(delta), count(*) from pgbench_history' \
        -c 'select md5(string_agg(x::text, $$,$$ order by x)) from generate_series(1, 20000) x' >out/text || rc=1
    "${as[@]}" "$bin/pg_ctl" -D data -m fast -w stop >stop.log 2>&1 || rc=1
    wait $pid || rc=1
    [ $rc -eq 0 ] || cat server.log bench.log
    return $rc
}

case_perl() {
    need perl
    PERL_HASH_SEED=0 "${W[@]}" perl "$data/work.pl" "$size" >out/text
}

case_lua() {
    local lua
    lua=$(command -v lua5.4 || command -v lua) || need lua5.4
    "${W[@]}" "$lua" "$data/work.lua" "$size" >out/text
}

case_bash() {
    "${W[@]}" bash "$data/work.bash" "$size" >out/text
}

case_node() {
    need node
    "${W[@]}" node "$data/work.js" "$size" >out/text
}

case_java() {
    need java javac
    javac -d . "$data/Work.java"
    "${W[@]}" java -Xmx256m -cp . Work "$size" >out/text
}

case_ruby() {
    need ruby
    "${W[@]}" ruby "$data/work.rb" "$size" >out/text
}

# This project itself: every object must come out the same.
case_make() {
    need make gcc
    mkdir tree
    (cd "$top" && find Makefile alloc common db replay sim tracer tests scripts -name build -prune \
        -o -type f -print0 | tar -c --null -T - -f -) | tar -x -C tree
    local targets=(all unit)
    [ "$size" = full ] || targets=(build/lib/libhakmem.so build/release/libcommon.a CFLAGS=-O1)
    "${W[@]}" make -s -j2 -C tree "${targets[@]}" &&
        (cd tree/build && find . -name '*.o' | sort | xargs sha256sum) >out/objects
}

# ---- the driver ---------------------------------------------------------------------------------

if [ "${1:-}" = --case ]; then # one case, in the current folder
    set -e
    size=$3
    mkdir out
    PATH=/usr/bin:$PATH # the programs themselves, not some version manager's wrappers
    W=()
    if [ -n "${HAK_LIB:-}" ]; then
        W=(env "LD_PRELOAD=$HAK_LIB")
    elif [ -n "${HAK_TRACES:-}" ]; then
        W=("$top/tests/stress/traced")
    fi
    "case_$2"
    exit
fi

size=full
variants=()
chosen=()
for arg in "$@"; do
    case $arg in
    --quick) size=small ;;
    --with=*) variants+=("${arg#--with=}") ;;
    --list)
        # shellcheck disable=SC2086
        printf '%s\n' $cases
        exit 0
        ;;
    -h | --help)
        sed -n '2,/^set -u/p' "$0" | sed -n 's/^# \{0,1\}//p'
        exit 0
        ;;
    -*)
        echo "programs.sh: unknown option '$arg' (--help)" >&2
        exit 2
        ;;
    *)
        case " $cases " in
        *" $arg "*) chosen+=("$arg") ;;
        *)
            echo "programs.sh: there is no case '$arg' (--list)" >&2
            exit 2
            ;;
        esac
        ;;
    esac
done
[ ${#variants[@]} -gt 0 ] || variants=(hakmem)
# shellcheck disable=SC2206
[ ${#chosen[@]} -gt 0 ] || chosen=($cases)
limit=$([ $size = full ] && echo 900 || echo 300)

scratch=$(mktemp -d "${TMPDIR:-/tmp}/hak-programs.XXXXXX") || exit 1
trap 'rm -rf "$scratch"' EXIT
export LC_ALL=C TZ=UTC
unset LD_PRELOAD MAKEFLAGS MFLAGS MAKELEVEL FLAVOUR CDPATH
results=${HAK_RESULTS:-}
unset HAK_RESULTS

passed=0 failed=0 skipped=0
note() { # pass|fail|skip NAME SECONDS TEXT
    printf '  %s  programs/%-28s %8s s  %s\n' "$1" "$2" "$3" "$4"
    [ -z "$results" ] || printf '%s\tprograms/%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results"
    case $1 in
    pass) passed=$((passed + 1)) ;;
    fail) failed=$((failed + 1)) ;;
    skip) skipped=$((skipped + 1)) ;;
    esac
}

# Runs a case in $scratch/work, always the same path since it shows in some outputs, and keeps the
# folder under $scratch/$2. Sets rc and seconds.
run_case() { # CASE KEEP-AS
    local begin ms
    rm -rf "$scratch/work" "${scratch:?}/$2"
    mkdir "$scratch/work"
    begin=$(date +%s%N)
    (cd "$scratch/work" && exec timeout -k 10 "$limit" bash "$top/tests/stress/programs.sh" \
        --case "$1" $size </dev/null >"$scratch/$2.log" 2>&1)
    rc=$?
    ms=$((($(date +%s%N) - begin) / 1000000))
    seconds=$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))
    mv "$scratch/work" "$scratch/$2"
}

# Points HAK_LIB or HAK_TRACES at a variant; fails where it is not built or does not load.
choose_variant() {
    unset HAK_LIB HAK_TRACES
    case $1 in
    plain) return 0 ;;
    haktrace)
        [ -x "$top/build/bin/haktrace" ] || {
            echo "programs.sh: build/bin/haktrace is not built" >&2
            return 1
        }
        export HAK_TRACES=$scratch/traces
        ;;
    hakmem) export HAK_LIB=$top/build/lib/libhakmem.so ;;
    *) export HAK_LIB=$1 ;;
    esac
    [ -n "${HAK_LIB:-}" ] || return 0
    LD_PRELOAD=$HAK_LIB "$top/build/bin/bench_random_mixed" 1000 100 1 |
        grep -qF "malloc from $HAK_LIB" || {
        echo "programs.sh: malloc does not resolve into $HAK_LIB under a preload" >&2
        return 1
    }
}

verify_traces() { # every trace of the case verifies, and they hold what a program does; prints how much
    local t n=0 records=0 more
    for t in "$scratch"/traces/*; do
        [ -e "$t" ] || continue
        n=$((n + 1))
        "$top/build/bin/haktrace" verify "$t" >"$scratch/verify.log" 2>&1 || {
            echo "$(basename "$t") does not verify: $(tail -n 1 "$scratch/verify.log")"
            return 1
        }
        more=$(sed -n 's/.*: sound: \([0-9]*\) records.*/\1/p' "$scratch/verify.log")
        records=$((records + ${more:-0}))
    done
    echo "$n traces verify, $records records"
    [ $n -gt 0 ] && [ $records -gt 1000 ]
}

compare() { # CASE VARIANT
    local label=${2##*/}
    local name="$1 (${label%%.so*})" log=$scratch/with.log text=
    rm -rf "$scratch/traces"
    mkdir "$scratch/traces"
    run_case "$1" with
    if [ $rc -eq 124 ]; then
        note fail "$name" "$seconds" "no end after $limit s"
    elif [ $rc -ne 0 ]; then
        note fail "$name" "$seconds" "exit code $rc"
    elif grep -q 'cannot be preloaded' "$log"; then
        note fail "$name" "$seconds" "the library could not be preloaded"
    elif ! diff -r "$scratch/plain/out" "$scratch/with/out" >"$scratch/diff"; then
        note fail "$name" "$seconds" "the output differs"
        head -n 20 "$scratch/diff" | sed 's/^/        | /'
    elif [ -n "${HAK_TRACES:-}" ] && ! text=$(verify_traces); then
        note fail "$name" "$seconds" "$text"
    else
        text="$text$(sed -n 's/^note: / /p' "$log" | head -n 1)"
        note pass "$name" "$seconds" "(plain: $plain_seconds s) $text"
        return
    fi
    tail -n 30 "$log" | sed 's/^/        | /'
}

for variant in "${variants[@]}"; do
    choose_variant "$variant" || exit 1
done
for c in "${chosen[@]}"; do
    choose_variant plain
    run_case "$c" plain
    plain_seconds=$seconds
    if [ $rc -eq 77 ]; then
        note skip "$c" "$seconds" "$(tail -n 1 "$scratch/plain.log")"
        continue
    elif [ $rc -ne 0 ]; then
        note fail "$c" "$seconds" "exit code $rc without any preload: the test itself is at fault"
        tail -n 30 "$scratch/plain.log" | sed 's/^/        | /'
        continue
    fi
    for variant in "${variants[@]}"; do
        choose_variant "$variant"
        compare "$c" "$variant"
    done
done
echo "programs: $passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
