LIBS_A += libreplay
libreplay_SRC := $(filter-out replay/hakreplay.c,$(wildcard replay/*.c))
# The calls are what is measured: a compiler that knows them leaves some out, such as free(NULL).
libreplay_CFLAGS := -fno-builtin-malloc -fno-builtin-calloc -fno-builtin-realloc -fno-builtin-free

TOOLS += hakreplay
hakreplay_SRC := replay/hakreplay.c
hakreplay_A := libreplay libformat libstore libpolicy libcommon
hakreplay_LD := -lzstd -lsqlite3 -lnettle -lm
