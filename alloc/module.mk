# The allocator without its doors (os_linux*.c: the system; malloc*.c: the exported names), so that
# haksim and the tests can put other doors in.
libhakcore_ONLY := $(filter-out alloc/spans.c alloc/put_text.c $(wildcard alloc/os_linux*.c alloc/malloc*.c),$(wildcard alloc/*.c))
LIBS_A += libhakcore
libhakcore_SRC := $(libhakcore_ONLY)

LIBS_A += libhakos
libhakos_SRC := $(wildcard alloc/os_linux*.c) alloc/put_text.c

SHLIBS += libhakmem
libhakmem_SRC := $(wildcard alloc/*.c alloc/policy/*.c)
libhakmem_CFLAGS := -fvisibility=hidden -ftls-model=initial-exec -fno-builtin-malloc -O3
# Initialised before all other objects, so that our fork handlers are the first registered, hence
# the last to run before a fork: other libraries' handlers may allocate, or wait for one who does.
# Never unloaded: threads end and processes fork through it for ever, if a program has opened and closed
# it as it does a plugin.
libhakmem_SONAME := libhakmem.so.0
libhakmem_LD := -Wl,-z,initfirst -Wl,-z,nodelete -Wl,-soname,$(libhakmem_SONAME)
