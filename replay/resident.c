#include "replay/resident.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "replay/raw.h"
#include "replay/shm.h"

#define PARTS_EVERY 16u /* samples */

static int statm_fd = -1;
static uint64_t page_bytes = 4096;

int hakr_resident_open(void) {
    statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    return statm_fd < 0 ? -1 : 0;
}

static const char *skip_number(const char *s, uint64_t *v) {
    *v = 0;
    while (*s == ' ')
        s++;
    while (*s >= '0' && *s <= '9')
        *v = *v * 10 + (uint64_t)(*s++ - '0');
    return s;
}

static uint64_t resident_of(int fd) {
    char buf[128];
    long n = hakr_raw(SYS_pread64, fd, (long)buf, sizeof buf - 1, 0, 0, 0);
    if (n <= 0)
        return UINT64_MAX;
    buf[n] = '\0';
    uint64_t size, resident, shared;
    const char *s = skip_number(buf, &size);
    s = skip_number(s, &resident);
    skip_number(s, &shared);
    return resident > shared ? (resident - shared) * page_bytes : 0;
}

uint64_t hakr_resident(void) {
    return resident_of(statm_fd);
}

uint64_t hakr_resident_note(struct hakr_ctl *c) {
    return hakr_resident_note_of(c, statm_fd);
}

uint64_t hakr_resident_note_of(struct hakr_ctl *c, int fd) {
    uint64_t r = resident_of(fd);
    if (r == UINT64_MAX)
        return UINT64_MAX;
    r = r > c->baseline ? r - c->baseline : 0;
    uint64_t peak = __atomic_load_n(&c->peak, __ATOMIC_RELAXED);
    while (r > peak &&
           !__atomic_compare_exchange_n(&c->peak, &peak, r, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    return r;
}

void hakr_sample(struct hakr_ctl *c, uint64_t start_ns) {
    uint64_t resident = hakr_resident_note(c);
    uint32_t i = __atomic_fetch_add(&c->n_samples, 1, __ATOMIC_RELAXED);
    if (i >= c->max_samples)
        return;
    struct hakr_shm_thread *t = hakr_threads(c);
    struct hakr_sample s = {.time_ns = hakr_now() - start_ns,
                            .resident = resident,
                            .lazy = UINT64_MAX,
                            .huge = UINT64_MAX};
    for (uint32_t k = 0; k < c->n_threads; k++) {
        s.op += __atomic_load_n(&t[k].ops, __ATOMIC_RELAXED);
        s.live += __atomic_load_n(&t[k].live, __ATOMIC_RELAXED);
        uint64_t recorded = __atomic_load_n(&t[k].recorded_ns, __ATOMIC_RELAXED);
        s.recorded_ns = recorded > s.recorded_ns ? recorded : s.recorded_ns;
    }
    if (i % PARTS_EVERY == 0)
        hakr_resident_parts(&s.lazy, &s.huge);
    hakr_samples(c)[i] = s;
}

static uint64_t field(const char *text, const char *name) {
    const char *s = strstr(text, name);
    uint64_t kib;
    if (s == NULL)
        return UINT64_MAX;
    skip_number(s + strlen(name), &kib);
    return kib * 1024;
}

void hakr_resident_parts(uint64_t *lazy, uint64_t *huge) {
    char buf[2048];
    *lazy = *huge = UINT64_MAX;
    int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, buf, sizeof buf - 1);
    close(fd);
    if (n <= 0)
        return;
    buf[n] = '\0';
    *lazy = field(buf, "\nLazyFree:");
    *huge = field(buf, "\nAnonHugePages:");
}
