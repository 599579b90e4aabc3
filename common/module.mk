LIBS_A += libcommon
libcommon_SRC := $(wildcard common/*.c)
