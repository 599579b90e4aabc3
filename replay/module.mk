LIBS_A += libreplay
libreplay_SRC := $(filter-out replay/hakreplay.c,$(wildcard replay/*.c))

TOOLS += hakreplay
hakreplay_SRC := replay/hakreplay.c
hakreplay_A := libreplay libformat libstore libpolicy libcommon
hakreplay_LD := -lzstd -lsqlite3 -lnettle -lm
