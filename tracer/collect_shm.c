#include "tracer/collect_shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t round_up(uint64_t n, uint64_t to) {
    return (n + to - 1) / to * to;
}

static uint64_t ring_size(uint64_t asked) {
    uint64_t n = HAKT_RING_BYTES_MIN;
    while (n < asked && n < HAKT_RING_BYTES_MAX)
        n *= 2;
    return n;
}

int hakt_shm_create(struct hakt_shm **out, int *fd, char path[HAKT_SHM_PATH],
                    const struct hakt_shm_settings *set, struct hakc_err *err) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t slots_offset = round_up(sizeof(struct hakt_shm), page);
    uint64_t rings_offset =
        round_up(slots_offset + set->slots * sizeof(struct hakt_shm_slot), page);
    uint64_t ring_bytes = ring_size(set->ring_bytes > page ? set->ring_bytes : page);
    uint64_t total = rings_offset + set->slots * ring_bytes;
    struct hakt_shm *shm;

    *out = NULL;
    *fd = memfd_create("haktrace", MFD_CLOEXEC);
    if (*fd < 0)
        return hakc_fail_errno(err, HAKC_EIO, "memfd_create");
    if (ftruncate(*fd, (off_t)total) != 0 ||
        (shm = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, *fd, 0)) ==
            MAP_FAILED) {
        int rc =
            hakc_fail_errno(err, HAKC_EIO, "%u rings of %llu bytes (%s)", set->slots,
                            (unsigned long long)ring_bytes,
                            errno == EFBIG ? "ulimit -f bounds shared memory too: raise it, or "
                                             "lower --ring-size and --max-threads"
                                           : "see --ring-size, --max-threads");
        close(*fd);
        return rc;
    }
    *shm = (struct hakt_shm){.magic = HAKT_SHM_MAGIC,
                             .version = HAKT_SHM_VERSION,
                             .slot_count = set->slots,
                             .total_bytes = total,
                             .slots_offset = slots_offset,
                             .rings_offset = rings_offset,
                             .ring_bytes = ring_bytes,
                             .clock = set->clock,
                             .on_full = set->on_full,
                             .pace = set->pace > 0 ? set->pace : 1,
                             .burst = set->burst,
                             .follow = set->follow,
                             .record_mmap = set->record_mmap,
                             .collector_fd = (uint32_t)*fd,
                             .collector_pid = (uint32_t)getpid()};
    snprintf(path, HAKT_SHM_PATH, "/proc/%d/fd/%d", (int)getpid(), *fd);
    *out = shm;
    return 0;
}

void hakt_shm_destroy(struct hakt_shm *shm, int fd) {
    munmap(shm, shm->total_bytes);
    close(fd);
}

void hakt_shm_empty(struct hakt_shm *shm, int fd) {
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)shm->rings_offset,
                  (off_t)(shm->total_bytes - shm->rings_offset)) != 0)
        return; /* they stay until the program ends */
}

void hakt_shm_sleep(struct hakt_shm *shm, uint64_t ns) {
    struct timespec ts = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
    uint32_t bell = __atomic_load_n(&shm->bell, __ATOMIC_SEQ_CST);
    __atomic_store_n(&shm->sleeping, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &shm->bell, FUTEX_WAIT, bell, &ts, NULL, 0);
    __atomic_store_n(&shm->sleeping, 0, __ATOMIC_SEQ_CST);
}
