/*
 * What disturbed an experiment from outside: other programs on the processors, the hypervisor that
 * took them away, processors that were throttled. Told, never corrected for.
 */
#ifndef REPLAY_NOISE_H
#define REPLAY_NOISE_H

#include <stdint.h>

struct hakr_noise {
    /* From begin to end. UINT64_MAX: the system does not tell. */
    uint64_t wall_ns;
    uint64_t all_ns;    /* processor time there was: wall time by number of processors */
    uint64_t busy_ns;   /* of it: used by anybody */
    uint64_t own_ns;    /* of that: by this process and its runs */
    uint64_t steal_ns;  /* taken by the hypervisor */
    uint64_t throttled; /* times that a processor was throttled for heat or power */
};

/* root stands before "/proc" and "/sys": "" but in tests. */
void hakr_noise_begin(struct hakr_noise *n, const char *root);
void hakr_noise_end(struct hakr_noise *n, const char *root);

/* Shares of all processor time: what others used, and what the hypervisor took; NAN if unknown. */
double hakr_noise_neighbours(const struct hakr_noise *n);
double hakr_noise_stolen(const struct hakr_noise *n);

/* The k-th sentence that is worth saying, in buf; NULL beyond the last. */
const char *hakr_noise_sentence(const struct hakr_noise *n, unsigned k, char *buf, unsigned len);

#endif
