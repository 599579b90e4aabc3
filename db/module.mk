LIBS_A += libstore
libstore_SRC := $(wildcard db/store*.c)

TOOLS += hakdb
hakdb_SRC := $(filter-out $(wildcard db/store*.c),$(wildcard db/*.c))
hakdb_A := libstore libcommon
hakdb_LD := -lsqlite3 -lnettle -lm
