#!/bin/sh
# Hundreds of threads alive at once, held together by a drift limit: those that wait must leave the
# processors to the one they wait for. (When they looked again and again this took minutes.)
# timeout: 120
set -eu
TOP=${TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
BIN=${BIN:-$TOP/build/bin}
[ -z "$(ls)" ] || cd "$(mktemp -d)"

cat >threads.c <<'END_C'
#include <pthread.h>
#include <stdlib.h>
static void *run(void *arg) {
    for (int i = 0; i < 1500; i++)
        free(malloc(100 + (size_t)i % 50));
    return arg;
}
int main(void) {
    enum { N = 1400 };
    static pthread_t t[N];
    for (int i = 0; i < N; i++)
        if (pthread_create(&t[i], NULL, run, NULL) != 0)
            return 1;
    for (int i = 0; i < N; i++)
        pthread_join(t[i], NULL);
    return 0;
}
END_C
gcc -O1 -fno-builtin -pthread -o threads threads.c
"$BIN/haktrace" -q --max-threads=1500 -o trace.zst -- ./threads
for pass in account time; do
    limit=
    [ $pass = account ] || limit=--drift=7000
    # shellcheck disable=SC2086
    "$BIN/hakreplay" trace.zst -a libc --passes=$pass $limit -r 1 --no-warm-up --no-control --no-db \
        --timeout=30 --json >out.json || {
        cat out.json
        exit 1
    }
done
grep -q '"status": "ok"' out.json || {
    cat out.json
    exit 1
}
