# What the fuzzers have found, and the smallest inputs that reach all that they have reached, once more
# under ASan and UBSan.
# timeout: 280
set -eu
unset FLAVOUR
"$TOP/tests/fuzz/run" --replay
