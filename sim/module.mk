LIBS_A += libsim
haksim_CMDS := sim/haksim.c $(wildcard sim/cmd_*.c)
libsim_SRC := $(filter-out $(haksim_CMDS),$(wildcard sim/*.c))

TOOLS += haksim
haksim_SRC := $(haksim_CMDS)
haksim_A := libsim libhakcore libpolicy libformat libstore libcommon
haksim_LD := -lzstd -lsqlite3 -lnettle -lm
