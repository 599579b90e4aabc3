TOOLS += bench_random_mixed
bench_random_mixed_SRC := tests/bench/bench_random_mixed.c tests/bench/bench_process.c

TOOLS += bench_workloads
bench_workloads_SRC := tests/bench/bench_workloads.c tests/bench/workloads.c tests/bench/bench_process.c

TOOLS += bench_collect
bench_collect_SRC := tests/bench/bench_collect.c
bench_collect_A := libtracer libformat libcommon
bench_collect_LD := -lzstd -lnettle -lm

TOOLS += bench_format
bench_format_SRC := tests/bench/bench_format.c
bench_format_A := libformat libcommon
bench_format_LD := -lzstd -lnettle -lm

TOOLS += bench_undrained
bench_undrained_SRC := tests/bench/bench_undrained.c
bench_undrained_A := libtracer libformat libcommon
bench_undrained_LD := -lzstd -lnettle -lm

TOOLS += bench_plan
bench_plan_SRC := tests/bench/bench_plan.c
bench_plan_A := libreplay libformat libstore libpolicy libcommon
bench_plan_LD := -lzstd -lsqlite3 -lnettle -lm

TOOLS += bench_stamps
bench_stamps_SRC := tests/bench/bench_stamps.c
