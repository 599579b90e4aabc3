/*
 * Included before each file by `make tidy` alone: tells clang's analyser what it cannot see from
 * the declarations, that a failure is never 0 and that a reported option error ends the parse.
 */
#include <argp.h>
#include "common/err.h"

#define hakc_fail(...)       (hakc_fail(__VA_ARGS__), -1)
#define hakc_fail_errno(...) (hakc_fail_errno(__VA_ARGS__), -1)
#define hakc_fail_at(...)    (hakc_fail_at(__VA_ARGS__), -1)
#define argp_error(...)      (argp_error(__VA_ARGS__), __builtin_unreachable())
