# The allocator that does nothing: what is left of a replay with it is the driver's own cost.
SHLIBS += libhaknull
libhaknull_SRC := replay/null/null.c
libhaknull_CFLAGS := -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc
