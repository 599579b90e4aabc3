/*
 * One mistake a run, as programs make them. Usage: alloc_safe CASE. Under libhakmem at a safety
 * level that promises it, the process aborts with a message; else it exits with 0 (or whatever
 * comes of the mistake).
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* So that no compiler knows what is being done. */
static char *volatile p, *volatile q;
static volatile size_t offset;

static void *free_p(void *arg) {
    free(p);
    return arg;
}

static void in_thread(void) {
    pthread_t t;
    if (pthread_create(&t, NULL, free_p, NULL) == 0)
        pthread_join(t, NULL);
}

/* Until what waits in a quarantine has come out of it. */
static void churn(void) {
    for (int i = 0; i < 3000; i++)
        free(malloc(100));
}

static void foreign(void) {
    char on_stack[64];
    p = on_stack + 16;
    free(p);
    p = NULL;
}

static void near_null(void) {
    offset = 16;
    p = (char *)offset;
    free(p);
}

static void static_object(void) {
    static char object[100];
    p = object;
    free(p);
}

static void large_inside(void) {
    p = malloc(1 << 20);
    free(p + 4096);
}

static void large_twice(void) {
    p = malloc(1 << 20);
    free(p);
    free(p);
}

static void large_realloc_inside(void) {
    p = malloc(1 << 20);
    q = realloc(p + 64, 100);
}

static void large_realloc_freed(void) {
    p = malloc(1 << 20);
    free(p);
    q = realloc(p, 100);
}

static void realloc_foreign(void) {
    static char object[100];
    p = object + 16;
    q = realloc(p, 200);
}

static void realloc_near_null(void) {
    offset = 4096;
    p = (char *)offset;
    q = realloc(p, 200);
}

static void twice(void) {
    p = malloc(100);
    free(p);
    free(p);
}

static void twice_with_others_between(void) {
    void *others[50];
    p = malloc(40);
    for (int i = 0; i < 50; i++)
        others[i] = malloc(40);
    free(p);
    for (int i = 0; i < 50; i++)
        free(others[i]);
    free(p);
}

static void twice_medium(void) {
    p = malloc(20000);
    free(p);
    free(p);
}

static void twice_by_two_threads(void) {
    p = malloc(100);
    in_thread();
    free(p);
}

static void inside(void) {
    p = malloc(100);
    free(p + 16);
}

static void odd(void) {
    p = malloc(100);
    free(p + 1);
}

static void inside_medium(void) {
    p = malloc(20000);
    free(p + 4096);
}

static void inside_by_another_thread(void) {
    p = malloc(100);
    p += 16;
    in_thread();
}

static void realloc_freed(void) {
    p = malloc(100);
    free(p);
    q = realloc(p, 2000);
}

static void realloc_inside(void) {
    p = malloc(100);
    q = realloc(p + 16, 2000);
}

static void written_after_free(void) {
    p = malloc(100);
    free(p);
    memset(p, 'A', 8);
    for (int i = 0; i < 3; i++)
        q = malloc(100);
    churn();
}

/* What an attacker would do: the next block is to come from where he likes. */
static void link_forged(void) {
    static char target[200];
    uintptr_t to = (uintptr_t)target;
    p = malloc(100);
    q = malloc(100);
    free(q);
    free(p);
    memcpy(p, &to, sizeof to);
    for (int i = 0; i < 3; i++)
        if (malloc(100) == target)
            exit(0);
    churn();
}

static void past_the_end(void) {
    p = malloc(100);
    p[100] = 0;
    free(p);
}

static void past_the_end_of_large(void) {
    p = malloc(200000);
    p[200000] = 1;
    free(p);
}

static void past_the_end_realloc(void) {
    p = malloc(10);
    p[10] = 1;
    q = realloc(p, 20);
}

static void before_the_start(void) {
    p = malloc(48);
    q = malloc(48);
    for (int i = 1; i <= 16; i++)
        (p < q ? q : p)[-i] = 7;
    free(p);
    free(q);
}

static void last_byte_after_free(void) {
    p = malloc(100);
    free(p);
    p[99] = 1;
    churn();
}

/* No mistake: exit code 9 where realloc always moves a block and its usable size is what was asked.
 */
static void strict(void) {
    unsigned moved = 0, exact = 0, all = 0;
    for (size_t size = 1; size < 300000; size += size / 3 + 1, all++) {
        p = malloc(size);
        exact += malloc_usable_size(p) == size;
        offset = (uintptr_t)p;
        q = realloc(p, size);
        moved += (uintptr_t)q != offset;
        free(q);
    }
    _exit(moved == all && exact == all ? 9 : 0);
}

/* No mistake: exit code 9 where malloc, free and delete look at a thread's heap without a look into
 * the GOT, which they do at level 1 where they could be replaced. */
static void patched(void) {
    static const char *const names[] = {"malloc", "free", "_ZdlPv"};
    static const unsigned char load[] = {0x64, 0x48, 0x8b, 0x04, 0x25},
                               landing[] = {0xf3, 0x0f, 0x1e, 0xfa};
    unsigned found = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const unsigned char *code = (const unsigned char *)(uintptr_t)dlsym(RTLD_DEFAULT, names[i]);
        if (code && memcmp(code, landing, sizeof landing) == 0)
            code += sizeof landing;
        found += code && memcmp(code, load, sizeof load) == 0;
    }
    _exit(found == 3 ? 9 : found != 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"foreign", foreign},
    {"near_null", near_null},
    {"static_object", static_object},
    {"large_inside", large_inside},
    {"large_twice", large_twice},
    {"large_realloc_inside", large_realloc_inside},
    {"large_realloc_freed", large_realloc_freed},
    {"realloc_foreign", realloc_foreign},
    {"realloc_near_null", realloc_near_null},
    {"twice", twice},
    {"twice_with_others_between", twice_with_others_between},
    {"twice_medium", twice_medium},
    {"twice_by_two_threads", twice_by_two_threads},
    {"inside", inside},
    {"odd", odd},
    {"inside_medium", inside_medium},
    {"inside_by_another_thread", inside_by_another_thread},
    {"realloc_freed", realloc_freed},
    {"realloc_inside", realloc_inside},
    {"strict", strict},
    {"written_after_free", written_after_free},
    {"link_forged", link_forged},
    {"past_the_end", past_the_end},
    {"past_the_end_of_large", past_the_end_of_large},
    {"past_the_end_realloc", past_the_end_realloc},
    {"before_the_start", before_the_start},
    {"last_byte_after_free", last_byte_after_free},
    {"patched", patched},
};

int main(int argc, char **argv) {
    if (errno) { /* the library's start is none of the program's business */
        perror("errno at the program's start");
        return 3;
    }
    free(malloc(1));
    for (size_t i = 0; argc == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    return 2;
}
