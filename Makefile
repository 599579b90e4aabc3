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

# Compilers other than make's default are named: CC=clang make, or FLAVOUR=clang.
ifeq ($(origin CC),default)
CC := gcc
endif

# $(call keep,FILE,TEXT): FILE holds TEXT, and is rewritten only when TEXT changes. What depends on
# such a file is made again when a flag changes or a source goes away.
changed = $(subst x$(strip $(1)),,x$(strip $(2)))$(subst x$(strip $(2)),,x$(strip $(1)))
keep = $(if $(call changed,$(file <$(1)),$(2)),$(shell mkdir -p $(dir $(1)))$(file >$(1),$(strip $(2))))
$(call keep,$(B)/flags,$(CC) $(HAK_CFLAGS) $(CFLAGS) $(LDFLAGS))

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
$(call keep,$(B)/$(1).list,objects: $(call obj,$(1)) flags: $($(1)_CFLAGS))
$(B)/$(1).a: $(call obj,$(1)) $(B)/$(1).list
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $(call obj,$(1))
$(B)/obj/$(1)/%.o: %.c $(B)/flags $(B)/$(1).list
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_CFLAGS) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
ALL_OBJ += $(call obj,$(1))
endef

define tool_rules
$(call keep,$(B)/$(1).list,objects: $(call obj,$(1)) flags: $($(1)_CFLAGS))
$(P)/bin/$(1): $(call obj,$(1)) $(B)/$(1).list $(foreach a,$($(1)_A),$(B)/$(a).a)
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_LDFLAGS) $$(CFLAGS) $$(LDFLAGS) -o $$@ $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a) $$($(1)_LD)
$(B)/obj/$(1)/%.o: %.c $(B)/flags $(B)/$(1).list
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_CFLAGS) $$($(1)_CFLAGS) $$(CFLAGS) -MMD -MP -c -o $$@ $$<
ALL_OBJ += $(call obj,$(1))
endef

define shlib_rules
$(call keep,$(B)/$(1).list,objects: $(call obj,$(1)) flags: $($(1)_LD))
$(P)/lib/$(1).so: $(call obj,$(1)) $(B)/$(1).list $(foreach a,$($(1)_A),$(B)/$(a).a)
	@mkdir -p $$(@D)
	$$(CC) $$(HAK_LDFLAGS) $$(CFLAGS) $$(LDFLAGS) -shared -Wl,-z,defs -o $$@ $(call obj,$(1)) $(foreach a,$($(1)_A),$(B)/$(a).a) $$($(1)_LD)
$(B)/obj/$(1)/%.o: %.c $(B)/flags $(B)/$(1).list
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

$(B)/obj/unit/%.o: %.c $(B)/flags
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
UNIT_NOW := $(if $(filter tsan,$(FLAVOUR)),$(UNIT_TSAN),$(UNIT))
unit: $(UNIT_NOW:%=$(B)/unit/%) ## build the unit tests of FLAVOUR (tsan: the threaded ones)
unit-run: unit ## build and run them
	@scripts/run-unit $(B)/unit $(UNIT_NOW)

# ---- checks ------------------------------------------------------------------------------------
C_DIRS := $(addsuffix /,common alloc alloc/policy tracer tracer/format tracer/rt replay sim db \
          tests/unit tests/bench tests/stress tests/fuzz tests/lint)
C_FILES := $(sort $(wildcard $(foreach d,$(C_DIRS),$(d)*.c $(d)*.h)))
SCRIPTS := $(sort .ci/run $(shell grep -lE '^\#!/bin/(ba)?sh' scripts/* tests/cli/run tests/bench/* \
          tests/stress/* 2>/dev/null))

.PHONY: check demo study-2025 format format-check tidy cppcheck shellcheck layering man-check readme-check
check: ## set up, build with gcc and clang, run all tests, linters and checks
	@scripts/check
demo: ## set up, build, record two programs, replay, simulate and compare (two minutes)
	@scripts/demo
study-2025: all ## measure the report of 2025 again: docs/studies/2025-madvise.md and its figures
	@scripts/study_2025.py
format: ## lay out all C files by .clang-format
	clang-format -i $(C_FILES)
format-check: ## fail where a C file is not laid out by .clang-format
	clang-format --dry-run -Werror $(C_FILES)
tidy: $(patsubst %.c,build/tidy/%.ok,$(filter %.c,$(C_FILES))) ## clang-tidy on all C files (.clang-tidy)
build/tidy/%.ok: %.c $(filter %.h,$(C_FILES)) tests/lint/analyzer.h
	@mkdir -p $(@D)
	@echo "clang-tidy $<"
	@clang-tidy --quiet $< -- $(if $(filter common/err.c,$<),,-include tests/lint/analyzer.h) -std=gnu11 -D_GNU_SOURCE -DHAK_VERSION='"$(VERSION)"' -I. 2>$@.log || \
	  { cat $@.log; exit 1; }
	@touch $@
cppcheck: ## cppcheck on all C files
	@mkdir -p build/cppcheck
	cppcheck -q -j2 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	  --suppressions-list=.cppcheck --cppcheck-build-dir=build/cppcheck --std=c11 -I. -D_GNU_SOURCE \
	  -DHAK_VERSION='"$(VERSION)"' $(filter %.c,$(C_FILES))
shellcheck: ## shellcheck on all scripts
	shellcheck $(SCRIPTS)
	shellcheck -s bash $(wildcard tests/cli/*.sh tests/cli/*.lib)
layering: all ## check who includes whom and what the objects leave to the linker
	@scripts/check-layering
man-check: ## lint the man pages
	@scripts/check-man
readme-check: ## hold README.md against the targets and tools there are
	@scripts/check-readme

.PHONY: clean help install setup uninstall
# the commands that haktrace-start(1) describes
START_PAGES = stop status rotate snapshot
INSTALL_TOOLS = $(filter haktrace hakreplay haksim hakdb,$(TOOLS))
install: all ## install tools, libraries and man pages under DESTDIR and PREFIX (/usr/local)
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin lib/pkgconfig include share/man/man1 share/man/man7)
	install -m 755 $(INSTALL_TOOLS:%=$(P)/bin/%) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(SHLIBS:%=$(P)/lib/%.so) $(DESTDIR)$(PREFIX)/lib
	mv $(DESTDIR)$(PREFIX)/lib/libhakmem.so $(DESTDIR)$(PREFIX)/lib/libhakmem.so.$(VERSION)
	ln -sf libhakmem.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/$(libhakmem_SONAME)
	ln -sf $(libhakmem_SONAME) $(DESTDIR)$(PREFIX)/lib/libhakmem.so
	install -m 644 alloc/hakmem.h $(DESTDIR)$(PREFIX)/include
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' alloc/hakmem.pc.in \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/hakmem.pc
	install -m 644 $(wildcard docs/man/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(wildcard docs/man/*.7) $(DESTDIR)$(PREFIX)/share/man/man7
	for c in $(START_PAGES); do ln -sf haktrace-start.1 $(DESTDIR)$(PREFIX)/share/man/man1/haktrace-$$c.1; done
uninstall: ## remove what install puts there
	rm -f $(INSTALL_TOOLS:%=$(DESTDIR)$(PREFIX)/bin/%) $(SHLIBS:%=$(DESTDIR)$(PREFIX)/lib/%.so) \
	  $(DESTDIR)$(PREFIX)/lib/libhakmem.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/$(libhakmem_SONAME) \
	  $(DESTDIR)$(PREFIX)/include/hakmem.h $(DESTDIR)$(PREFIX)/lib/pkgconfig/hakmem.pc \
	  $(patsubst docs/man/%,$(DESTDIR)$(PREFIX)/share/man/man1/%,$(wildcard docs/man/*.1)) \
	  $(patsubst docs/man/%,$(DESTDIR)$(PREFIX)/share/man/man7/%,$(wildcard docs/man/*.7)) \
	  $(START_PAGES:%=$(DESTDIR)$(PREFIX)/share/man/man1/haktrace-%.1)

setup: ## install what the build, the checks and the demo need (apt; looks first)
	@scripts/setup
clean: ## remove build/
	rm -rf build
help: ## list the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | sort | \
	  sed -E 's/^([a-z0-9-]+):[^#]*## (.*)/  \1\t\2/' | expand -t 20
