# Every tests/stress/*.c is a program of its own, build/bin/stress/NAME, that tests/cli/*.sh run
# under a preloaded library or as a traced program. They use libc alone.
STRESS := $(patsubst tests/stress/%.c,stress/%,$(sort $(wildcard tests/stress/*.c)))
TOOLS += $(STRESS)
$(foreach t,$(STRESS),$(eval $(t)_SRC := tests/stress/$(notdir $(t)).c))
$(foreach t,$(STRESS),$(eval $(t)_CFLAGS := -fno-builtin))
# trace_check reads traces.
stress/trace_check_A := libformat libcommon
stress/trace_check_LD := -lzstd -lnettle -lm
