TOOLS += bench_random_mixed
bench_random_mixed_SRC := tests/bench/bench_random_mixed.c
