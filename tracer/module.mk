LIBS_A += libformat
libformat_SRC := $(wildcard tracer/format/*.c)

LIBS_A += libtracer
libtracer_SRC := $(filter-out tracer/haktrace.c,$(wildcard tracer/*.c))

TOOLS += haktrace
haktrace_SRC := tracer/haktrace.c
haktrace_A := libtracer libformat libcommon
haktrace_LD := -lzstd -lnettle -lm

SHLIBS += libhaktrace
libhaktrace_SRC := $(wildcard tracer/rt/*.c)
libhaktrace_CFLAGS := -fvisibility=hidden -ftls-model=initial-exec
