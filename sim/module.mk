LIBS_A += libsim
libsim_SRC := $(filter-out sim/haksim.c,$(wildcard sim/*.c))

TOOLS += haksim
haksim_SRC := sim/haksim.c
haksim_A := libsim libhakcore libpolicy libformat libstore libcommon
haksim_LD := -lzstd -lsqlite3 -lnettle -lm
