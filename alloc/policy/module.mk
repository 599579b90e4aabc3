# The release policies and the span lists that carry them out: what libhakmem and haksim share.
LIBS_A += libpolicy
libpolicy_SRC := $(wildcard alloc/policy/*.c) alloc/spans.c
