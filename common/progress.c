#include "common/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "common/units.h"

enum { REDRAW_NS = 100 * 1000 * 1000 };

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void hakc_progress_start(struct hakc_progress *p, const char *label, uint64_t total,
                         const char *unit) {
    const char *term = getenv("TERM");
    *p = (struct hakc_progress){.label = label, .unit = unit, .total = total};
    p->active = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    if (p->active)
        p->start_ns = now_ns();
}

void hakc_progress_text(const struct hakc_progress *p, uint64_t done, uint64_t elapsed_ns,
                        unsigned columns, char *buf, unsigned len) {
    char count[HAKC_UNIT_LEN], rate[HAKC_UNIT_LEN], left[HAKC_UNIT_LEN];
    hakc_format_count(count, done);
    hakc_format_rate(rate, done, elapsed_ns, p->unit);
    if (p->total && done <= p->total) {
        double part = (double)done / (double)p->total;
        if (done)
            hakc_format_duration(left, (uint64_t)((double)elapsed_ns * (1 - part) / part));
        snprintf(buf, len, "%s %3u %%  %s %s  %s%s%s", p->label, (unsigned)(part * 100), count,
                 p->unit, rate, done ? "  left " : "", done ? left : "");
    } else {
        snprintf(buf, len, "%s %s %s  %s", p->label, count, p->unit, rate);
    }
    if (strlen(buf) > columns)
        buf[columns] = '\0';
}

void hakc_progress_set(struct hakc_progress *p, uint64_t done) {
    if (!p->active)
        return;
    uint64_t now = now_ns();
    if (p->last_ns && now - p->last_ns < REDRAW_NS)
        return;
    p->last_ns = now;
    struct winsize w;
    unsigned columns = 79;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1)
        columns = w.ws_col - 1u;
    char text[256];
    hakc_progress_text(p, done, now - p->start_ns, columns, text, sizeof text);
    fprintf(stderr, "\r%s\033[K", text);
    fflush(stderr);
}

void hakc_progress_end(struct hakc_progress *p) {
    if (p->active && p->last_ns) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->active = 0;
}
