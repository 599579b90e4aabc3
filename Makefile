# HAKMEM: one non-recursive Makefile; each folder adds its own module.mk.
#
#   FLAVOUR=release (default) | asan | tsan | clang     objects under build/FLAVOUR/
#   release products: build/bin, build/lib; other flavours: build/FLAVOUR/bin, build/FLAVOUR/lib
#
# A module.mk may use these variables and nothing else:
#   LIBS_A   += NAME            a static archive build/.../NAME.a, from NAME_SRC
#   TOOLS    += NAME            a program in bin/, from NAME_SRC, archives NAME_A, libraries NAME_LD
#   SHLIBS   += NAME            a shared library in lib/NAME.so, from NAME_SRC, with NAME_CFLAGS, NAME_LD
#   UNIT     += NAME            a cmocka test tests/unit/NAME.c, archives NAME_A, libraries NAME_LD
#   UNIT_TSAN += NAME           those of UNIT that also run under TSan (the threaded ones)
# Archive names in NAME_A are in link order, dependents first.

FLAVOUR ?= release
PREFIX  ?= /usr/local
VERSION := 0.1.0

B := build/$(FLAVOUR)
ifeq ($(FLAVOUR),release)
P := build
else
P := $(B)
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings -Wundef
CFLAGS ?= -O2 -g
HAK_CFLAGS = -std=gnu11 -D_GNU_SOURCE -DHAK_VERSION='"$(VERSION)"' -I. $(WARN) -fno-strict-aliasing \
             -pthread $(FLAVOUR_CFLAGS)
HAK_LDFLAGS = -pthread $(FLAVOUR_CFLAGS)

ifeq ($(FLAVOUR),asan)
FLAVOUR_CFLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(FLAVOUR),tsan)
FLAVOUR_CFLAGS := -fsanitize=thread
else ifeq ($(FLAVOUR),clang)
CC := clang
endif

.PHONY: all
all: tools shlibs ## build the tools, the libraries and the benchmarks (default)

# A part is built once its sources are there.
include $(sort $(wildcard */module.mk */*/module.mk))

have = $(foreach n,$(1),$(if $(wildcard $($(n)_SRC)),$(n)))
TOOLS := $(call have,$(TOOLS))
SHLIBS := $(call have,$(SHLIBS))

# ---- rules made from the lists -------------------------------------------------------------
obj = $(patsubst %.c,$(B)/obj/$(1)/%.o,$($(1)_SRC))

define archive_rules
$(B)/$(1).a: $(call obj,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $$^
$(B)/obj/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_CFLAGS) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
ALL_OBJ += $(call obj,$(1))
endef

define tool_rules
$(P)/bin/$(1): $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a)
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_LDFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a) $$($(1)_LD)
$(B)/obj/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_CFLAGS) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
ALL_OBJ += $(call obj,$(1))
endef

define shlib_rules
$(P)/lib/$(1).so: $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a)
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_LDFLAGS) $$(CFLAGS) $$(LDFLAGS) -shared -Wl,-z,defs -o $$@ $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a) $$($(1)_LD)
$(B)/obj/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_CFLAGS) -fPIC $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
ALL_OBJ += $(call obj,$(1))
endef

define unit_rules
$(B)/unit/$(1): $(B)/obj/unit/tests/unit/$(1).o $(foreach a,$($(1)_A),$(B)/$(a).a)
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_LDFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$< $(foreach a,$($(1)_A),$(B)/$(a).a) $$($(1)_LD) -lcmocka
ALL_OBJ += $(B)/obj/unit/tests/unit/$(1).o
endef

$(B)/obj/unit/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(HAK_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(foreach n,$(LIBS_A),$(eval $(call archive_rules,$(n))))
$(foreach n,$(TOOLS),$(eval $(call tool_rules,$(n))))
$(foreach n,$(SHLIBS),$(eval $(call shlib_rules,$(n))))
$(foreach n,$(UNIT),$(eval $(call unit_rules,$(n))))

-include $(ALL_OBJ:.o=.d)

.PHONY: tools shlibs unit unit-run
tools: $(TOOLS:%=$(P)/bin/%)
shlibs: $(SHLIBS:%=$(P)/lib/%.so)
unit: $(UNIT:%=$(B)/unit/%) ## build the unit tests of FLAVOUR
unit-run: unit ## build and run the unit tests of FLAVOUR (tsan: the threaded ones)
	@scripts/run-unit $(B)/unit $(if $(filter tsan,$(FLAVOUR)),$(UNIT_TSAN),$(UNIT))

.PHONY: clean help setup
setup: ## install what the build and the tests need (apt; looks first)
	@scripts/setup
clean: ## remove build/
	rm -rf build
help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sort | \
	  sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  \1\t\2/' | expand -t 20
