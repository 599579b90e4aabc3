/* Parcels of remote frees: nothing is lost, whoever goes first, and nothing is kept for long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "alloc/internal.h"
#include "alloc/remote.h"

enum { MOST = 6000, SINGLES = 64 };

static struct hak_heap *owner, *other;
static unsigned char *block[MOST];

static uint64_t active(void) {
    struct hak_core_stats s;
    hak_core_stats(&s);
    return s.active_pages;
}

static int set_up(void **state) {
    (void)state;
    struct hakp_spec spec;
    hakp_parse("never", &spec, NULL, 0);
    hak_core_init(&spec);
    owner = hak_heap_new();
    other = hak_heap_new();
    /* past the frees that are sent one by one */
    void *p[SINGLES];
    for (unsigned i = 0; i < SINGLES; i++)
        p[i] = hak_heap_alloc(owner, 32);
    for (unsigned i = 0; i < SINGLES; i++)
        hak_heap_free(other, p[i]);
    hak_core_trim(owner);
    return active() != 0;
}

/* n blocks of the owner's, each filled with a pattern of its own. */
static void fill(unsigned n, size_t size) {
    for (unsigned i = 0; i < n; i++) {
        block[i] = hak_heap_alloc(owner, size);
        assert_non_null(block[i]);
        memset(block[i], (int)(i & 0xff), size);
    }
}

static void check(unsigned n, size_t size) {
    for (unsigned i = 0; i < n; i++)
        for (size_t k = 0; k < size; k++)
            assert_int_equal(block[i][k], i & 0xff);
}

static void shuffle(unsigned n) {
    uint64_t x = 88172645463325252u;
    for (unsigned i = n; i > 1; i--) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        unsigned k = (unsigned)(x % i);
        unsigned char *t = block[i - 1];
        block[i - 1] = block[k];
        block[k] = t;
    }
}

/* All sizes, from one slab and from more slabs than parcels, in order and out of order: the owner
 * gets back exactly what was freed, as blocks that do not overlap. */
static void owner_gets_all_blocks(void **state) {
    static const size_t sizes[] = {1,    16,   17,   32,   48,   64,   80,    200,
                                   1024, 1100, 2048, 4096, 4097, 8192, 16000, 60000};
    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned order = 0; order < 2; order++) {
            unsigned n = sizes[i] > 4096 ? 300 : MOST;
            fill(n, sizes[i]);
            uint64_t before = active();
            if (order)
                shuffle(n);
            for (unsigned k = 0; k < n; k++)
                hak_heap_free(other, block[k]);
            fill(n, sizes[i]);
            /* what is still packed is missing: some slabs at most */
            assert_in_range(active(), before, before + (uint64_t)HAK_PARCELS * 16);
            check(n, sizes[i]);
            for (unsigned k = 0; k < n; k++)
                hak_heap_free(owner, block[k]);
            hak_core_trim(other);
            hak_core_trim(owner);
            assert_int_equal(active(), 0);
        }
    }
}

/* Frees that do not fill a parcel wait: the owner's slab is not empty until they are sent. */
static void a_few_wait_until_sent(void **state) {
    (void)state;
    fill(3, 64);
    for (unsigned i = 0; i < 3; i++)
        hak_heap_free(other, block[i]);
    hak_core_trim(owner);
    assert_int_not_equal(active(), 0);
    hak_core_trim(other);
    hak_core_trim(owner);
    assert_int_equal(active(), 0);
}

/* A thread that frees few blocks of others keeps none back. */
static void first_frees_go_at_once(void **state) {
    (void)state;
    struct hak_heap *fresh = hak_heap_new();
    fill(3, 64);
    for (unsigned i = 0; i < 3; i++)
        hak_heap_free(fresh, block[i]);
    hak_core_trim(owner);
    assert_int_equal(active(), 0);

    /* nor does a new thread keep any that takes over a heap that packed */
    fill(100, 64);
    for (unsigned i = 0; i < 100; i++)
        hak_heap_free(fresh, block[i]);
    hak_heap_retire(fresh);
    assert_ptr_equal(hak_heap_new(), fresh);
    fill(3, 64);
    for (unsigned i = 0; i < 3; i++)
        hak_heap_free(fresh, block[i]);
    hak_core_trim(owner);
    assert_int_equal(active(), 0);
}

/* The owner allocates on and on: its own refills are enough for what it frees of others to go
 * out. */
static void refills_send(void **state) {
    (void)state;
    fill(3, 64);
    for (unsigned i = 0; i < 3; i++)
        hak_heap_free(other, block[i]);
    void *p[200];
    for (unsigned i = 0; i < 200; i++) /* 40 pages of blocks: at least as many refills */
        p[i] = hak_heap_alloc(other, 1000);
    hak_core_trim(owner);
    for (unsigned i = 0; i < 200; i++)
        hak_heap_free(other, p[i]);
    uint64_t left = active();
    hak_core_trim(other);
    assert_in_range(left, 1, 16 * 5); /* other's own slabs, none of owner's */
    assert_int_equal(active(), 0);
}

/* And for what others have sent to come in, also while it does not run out of blocks. */
static void refills_collect(void **state) {
    (void)state;
    enum { N = 32 * 64, KEPT = 50 }; /* slabs of 64, carved to the end: refills find free blocks */
    static void *p[N];
    for (unsigned i = 0; i < N; i++)
        p[i] = hak_heap_alloc(owner, 1000);
    for (unsigned i = 0; i < N; i++)
        if (i % KEPT != 0)
            hak_heap_free(owner, p[i]);
    hak_heap_flush(owner); /* slabs with many free blocks */
    fill(200, 64);
    const struct hak_slab *s = hak_slab_lookup(block[0]);
    for (unsigned i = 0; i < 200; i++)
        hak_heap_free(other, block[i]);
    hak_remote_send(other);
    assert_true(atomic_load(&s->remote) != 0);
    for (unsigned i = 0; i < N; i++)
        if (i % KEPT != 0)
            p[i] = hak_heap_alloc(owner, 1000);
    assert_true(atomic_load(&s->remote) == 0);
    for (unsigned i = 0; i < N; i++)
        hak_heap_free(owner, p[i]);
    hak_core_trim(owner);
    assert_int_equal(active(), 0);
}

/* Between two parcels a slab may become one of another class: what is packed then must fit that. */
static void slab_changes_its_class(void **state) {
    static const size_t sizes[] = {512, 16, 64, 8192, 16, 4096, 30000, 16};
    (void)state;
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned n = sizes[i] > 1024 ? 7 : 60;
        fill(n, sizes[i]);
        for (unsigned k = 0; k < n; k++)
            hak_heap_free(other, block[k]);
        hak_core_trim(other);
        hak_core_trim(owner);
        assert_int_equal(active(), 0);
    }
}

/* The owner's thread ends while its blocks are packed. */
static void owner_retires_first(void **state) {
    (void)state;
    struct hak_heap *gone = owner;
    fill(1000, 64);
    for (unsigned i = 0; i < 1000; i++) {
        if (i == 10 || i == 900)
            hak_heap_retire(gone);
        hak_heap_free(other, block[i]);
        if (i == 500) /* and another takes its heap */
            assert_ptr_equal(hak_heap_new(), gone);
    }
    hak_core_trim(other);
    hak_core_trim(other);
    assert_int_equal(active(), 0);
    owner = hak_heap_new();
    assert_ptr_equal(owner, gone);
}

/* The thread that packs ends. */
static void who_packs_retires(void **state) {
    (void)state;
    fill(1000, 48);
    shuffle(1000);
    for (unsigned i = 0; i < 1000; i++)
        hak_heap_free(other, block[i]);
    hak_heap_retire(other);
    hak_core_trim(owner);
    assert_int_equal(active(), 0);
    other = hak_heap_new();
}

/* Frees of a slab whose owner is gone go home when they are sent, and those after them at once:
 * nobody else would look for them. */
static void nothing_waits_for_a_dead_owner(void **state) {
    (void)state;
    struct hak_heap *gone = owner;
    hak_heap_flush(other);
    other->packs = true;
    for (unsigned packed = 3; packed >= 2; packed--) {
        fill(3, 64);
        for (unsigned i = 0; i < packed; i++)
            hak_heap_free(other, block[i]);
        hak_heap_retire(gone);
        assert_int_not_equal(active(), 0);
        if (packed == 3)
            hak_remote_send(other);
        else
            hak_heap_free(other, block[2]);
        assert_int_equal(active(), 0);
        assert_ptr_equal(hak_heap_new(), gone);
    }
}

/* A slab that changes hands with frees under way: who finds it in the wrong list passes it on, and
 * each heap's account of its slabs is right. */
static void a_slab_in_the_wrong_list(void **state) {
    enum { N = 64 };
    (void)state;
    unsigned c = hak_class_of(1024);
    fill(N, 1024); /* to the end: in no list of available ones */
    struct hak_slab *s = hak_slab_lookup(block[0]);
    assert_int_equal(s->used, N);
    struct hak_heap *fresh = hak_heap_new();
    hak_heap_free(fresh, block[0]);
    assert_true(hak_remote_pending(owner));
    uint32_t had = owner->units, has = other->units;
    hak_slab_adopt(other, s);
    assert_int_equal(owner->units, had - s->span.units);
    assert_int_equal(other->units, has + s->span.units);
    hak_remote_collect(owner);
    assert_true(hak_remote_pending(other));
    assert_int_equal(s->nfree, 0);
    hak_remote_collect(other);
    assert_int_equal(s->nfree, 1);
    assert_ptr_equal(other->avail[c], s);
    assert_ptr_not_equal(owner->avail[c], s);
    for (unsigned i = 1; i < N; i++)
        hak_heap_free(other, block[i]);
    hak_core_trim(other);
    assert_int_equal(active(), 0);
    hak_heap_retire(fresh);
}

/* The number of blocks that a parcel claims lies in free memory. */
static void collect_damaged(uint16_t claimed) {
    other->packs = true;
    fill(5, 64);
    for (unsigned i = 0; i < 5; i++)
        hak_heap_free(other, block[i]);
    hak_remote_send(other);
    memcpy(block[0] + 8, &claimed, sizeof claimed);
    hak_remote_collect(owner);
    _exit(0);
}

static void a_damaged_parcel_is_seen(void **state) {
    static const uint16_t claims[] = {0, HAK_PARCEL_BLOCKS + 1, UINT16_MAX};
    (void)state;
    for (unsigned i = 0; i < sizeof claims / sizeof *claims; i++) {
        char said[200] = "";
        int fd[2], status;
        assert_int_equal(pipe(fd), 0);
        pid_t pid = fork();
        if (pid == 0) {
            struct sigaction end = {.sa_handler = SIG_DFL};
            sigaction(SIGABRT, &end, NULL);
            dup2(fd[1], STDERR_FILENO);
            collect_damaged(claims[i]);
        }
        close(fd[1]);
        assert_true(read(fd[0], said, sizeof said - 1) >= 0);
        close(fd[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_non_null(strstr(said, "a free block was written to"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_gets_all_blocks),
        cmocka_unit_test(a_few_wait_until_sent),
        cmocka_unit_test(first_frees_go_at_once),
        cmocka_unit_test(refills_send),
        cmocka_unit_test(refills_collect),
        cmocka_unit_test(slab_changes_its_class),
        cmocka_unit_test(owner_retires_first),
        cmocka_unit_test(who_packs_retires),
        cmocka_unit_test(nothing_waits_for_a_dead_owner),
        cmocka_unit_test(a_slab_in_the_wrong_list),
        cmocka_unit_test(a_damaged_parcel_is_seen),
    };
    return cmocka_run_group_tests_name("remote", tests, set_up, NULL);
}
