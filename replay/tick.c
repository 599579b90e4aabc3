#include "replay/tick.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

int hakr_tick_decide(int invariant, const char *available, const char **why) {
    *why = "";
    if (!invariant) {
        *why = "this processor's time stamp counter is not invariant";
        return 0;
    }
    for (const char *s = available; s != NULL && *s != '\0'; s += strcspn(s, " \n")) {
        s += strspn(s, " \n");
        if (strncmp(s, "tsc", 3) == 0 && strchr(" \n", s[3]) != NULL)
            return 1;
    }
    if (available == NULL)
        return 1;
    *why = "the kernel does not trust this processor's time stamp counter";
    return 0;
}

int hakr_tick_choose(const char *root, const char **why) {
    static const char list[] = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
    char path[256], text[256];
    unsigned a, b, c, d;
    int invariant = __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
    snprintf(path, sizeof path, "%s%s", root, list);
    FILE *f = fopen(path, "re");
    const char *available = f != NULL ? fgets(text, sizeof text, f) : NULL;
    if (f != NULL)
        fclose(f);
    return hakr_tick_decide(invariant, available, why);
}
