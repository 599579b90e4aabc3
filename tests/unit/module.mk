# Every tests/unit/test_*.c is a cmocka program; those named test_*_mt.c are threaded and run under
# TSan as well. tests/unit/test_X.c tests X.c.
UNIT := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_TSAN := $(filter %_mt,$(UNIT))
unit_A_default := libreplay libtracer libformat libstore libhakcore libhakos libpolicy libcommon
unit_LD_default := -lzstd -lsqlite3 -lnettle -lm
# haksim's own door to the system replaces libhakos
unit_A_sim := libsim libhakcore libpolicy libformat libstore libcommon
$(foreach t,$(UNIT),$(eval $(t)_A := $(if $(findstring test_sim,$(t)),$(unit_A_sim),$(unit_A_default))))
$(foreach t,$(UNIT),$(eval $(t)_LD := $(unit_LD_default)))
# a kernel of its own, as far as cgroups go
test_replay_cgroup_LD += -Wl,--wrap=mkdir,--wrap=rmdir,--wrap=write
