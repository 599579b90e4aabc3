#include "tracer/format/event.h"

#include <string.h>
#include "tracer/format/varint.h"

static const struct {
    const char *name;
    const char *args[HAKT_EVENT_ARGS];
} events[] = {
    [HAKT_EV_MMAP] = {"mmap", {"address", "length", "prot", "flags"}},
    [HAKT_EV_MUNMAP] = {"munmap", {"address", "length"}},
    [HAKT_EV_MREMAP] = {"mremap", {"old_address", "old_length", "address", "length"}},
    [HAKT_EV_MADVISE] = {"madvise", {"address", "length", "advice"}},
    [HAKT_EV_BRK] = {"brk", {"old_end", "end"}},
    [HAKT_EV_MPROTECT] = {"mprotect", {"address", "length", "prot"}},
    [HAKT_EV_FORK] = {"fork", {"child_pid"}},
    [HAKT_EV_EXEC] = {"exec", {NULL}},
    [HAKT_EV_WINDOW] = {"window", {"left_out"}},
};
#define EVENTS (sizeof(events) / sizeof(*events))

const char *hakt_event_name(unsigned kind) {
    return kind < EVENTS ? events[kind].name : NULL;
}

const char *hakt_event_arg_name(unsigned kind, unsigned arg) {
    return kind < EVENTS && arg < HAKT_EVENT_ARGS ? events[kind].args[arg] : NULL;
}

int hakt_event_put(struct hakt_event_out *out, const struct hakt_event *e) {
    if (hakt_bytes_reserve(&out->bytes, out->n + HAKT_EVENT_BYTES) != 0)
        return HAKC_ENOMEM;
    uint8_t *p = out->bytes.p + out->n;
    unsigned args = HAKT_EVENT_ARGS;
    while (args > 0 && e->arg[args - 1] == 0)
        args--;
    p = hakt_put_varint(p, e->kind);
    p = hakt_put_varint(p, e->flags);
    p = hakt_put_varint(p, e->thread);
    p = hakt_put_varint(p, e->time - (out->n == 0 ? 0 : out->time));
    p = hakt_put_varint(p, e->record - (out->n == 0 ? 0 : out->record));
    p = hakt_put_varint(p, args);
    for (unsigned i = 0; i < args; i++)
        p = hakt_put_varint(p, e->arg[i]);
    out->n = (size_t)(p - out->bytes.p);
    out->time = e->time;
    out->record = e->record;
    out->count++;
    return 0;
}

int hakt_event_get(const uint8_t **p, const uint8_t *end, int first, struct hakt_event *e,
                   const char **why) {
    uint64_t kind, flags, thread, time, record, args;
    const uint8_t *s = *p;
    struct hakt_event next = {0};
    *why = "an event that cannot be read";
    if ((s = hakt_get_varint(s, end, &kind)) == NULL ||
        (s = hakt_get_varint(s, end, &flags)) == NULL ||
        (s = hakt_get_varint(s, end, &thread)) == NULL ||
        (s = hakt_get_varint(s, end, &time)) == NULL ||
        (s = hakt_get_varint(s, end, &record)) == NULL ||
        (s = hakt_get_varint(s, end, &args)) == NULL || kind > UINT16_MAX || flags > UINT16_MAX ||
        args > HAKT_EVENT_ARGS)
        return HAKC_ECORRUPT;
    for (uint64_t i = 0; i < args; i++) {
        if ((s = hakt_get_varint(s, end, &next.arg[i])) == NULL)
            return HAKC_ECORRUPT;
    }
    if (first ? time < e->time || record < e->record
              : __builtin_add_overflow(e->time, time, &time) ||
                    __builtin_add_overflow(e->record, record, &record)) {
        *why = "an event before the one before it";
        return HAKC_ECORRUPT;
    }
    if (thread >= HAKT_THREAD_LIMIT || record > UINT64_MAX / 4) {
        *why = "an event of an impossible thread or place";
        return HAKC_ECORRUPT;
    }
    next.kind = (uint16_t)kind;
    next.flags = (uint16_t)flags;
    next.thread = (uint32_t)thread;
    next.time = time;
    next.record = record;
    *e = next;
    *p = s;
    return 0;
}
