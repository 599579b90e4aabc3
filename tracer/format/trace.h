/*
 * The trace library: reads and writes traces of the malloc family. docs/trace-format.md specifies
 * the file; this header is the only door to it.
 *
 * Glossary
 *   op            one call of the malloc family by the traced program.
 *   record        one op in a trace, or a thread marker.
 *   allocation id the n-th successful allocation of the trace, counted from 1 in the trace's
 *                 order. 0 = none (NULL). A trace holds ids, never addresses.
 *   order         records stand in one order that respects cause: an id is allocated before it is
 *                 freed. With times, it is the order of the time stamps. Each thread's records
 *                 stand in program order. Between threads only the id edges are facts; the rest of
 *                 the interleaving is what the clock (or the imported file) showed.
 *   chunk         up to HAKT_CHUNK_MAX consecutive records: the unit of compression, checksum,
 *                 seeking and memory. Readers and writers hold one chunk, whatever the length.
 *   event         what else a recorder saw: a memory call of the program, a fork. Events stand
 *                 beside the records, each with the number of records before it.
 *   fidelity flag what the source of the trace knew, or did not know (enum hakt_fidelity).
 *
 * Threads: a reader or writer belongs to one thread at a time; different ones are independent.
 * Errors: 0 or a negative enum hakc_code; struct hakc_err says the file and the byte offset.
 */
#ifndef TRACER_FORMAT_TRACE_H
#define TRACER_FORMAT_TRACE_H

#include <stdint.h>
#include <stddef.h>
#include "common/err.h"

#define HAKT_CHUNK_MAX (1u << 17) /* records */

/* Pinned: these are the numbers in the file. */
enum hakt_op {
    HAKT_MALLOC = 0,
    HAKT_CALLOC = 1,
    HAKT_REALLOC = 2,
    HAKT_REALLOCARRAY = 3,
    HAKT_FREE = 4,
    HAKT_MEMALIGN = 5,
    HAKT_ALIGNED_ALLOC = 6,
    HAKT_POSIX_MEMALIGN = 7,
    HAKT_VALLOC = 8,
    HAKT_PVALLOC = 9,
    HAKT_THREAD_START = 10, /* marker: first sight of this thread */
    HAKT_THREAD_END = 11,   /* marker: this thread's last record */
    HAKT_OP_COUNT
};

enum hakt_rec_flag {
    /* The allocation failed: id is 0, the object of old_id (realloc) lives on. */
    HAKT_REC_FAILED = 1u << 0,
    /* A free or realloc of a pointer that the trace never saw allocated (allocated before the
     * recording, or by a function outside the family): old_id is 0, the argument was not NULL. */
    HAKT_REC_FOREIGN = 1u << 1,
    /* The program was killed, or the recording ended, between the start and the end of this
     * realloc: the result is unknown; old_id counts as freed and id is 0. */
    HAKT_REC_UNFINISHED = 1u << 2,
    /* A free that the program did not issue through the family: the collector infers it because
     * the address was handed out again. */
    HAKT_REC_IMPLIED = 1u << 3,
};

struct hakt_rec {
    uint64_t time;      /* ns since the start of the trace; 0 throughout without HAKT_HAS_TIMES */
    uint64_t id;        /* the allocation that this record makes; 0 if none (free, failure,
                           realloc to zero, markers) */
    uint64_t old_id;    /* the allocation that free or realloc consumes; 0 = NULL or foreign.
                           A realloc that succeeded always has a new id, in place or not. */
    uint64_t size;      /* bytes asked for (calloc, reallocarray: the product; on overflow
                           UINT64_MAX with HAKT_REC_FAILED); 0 for free and markers */
    uint32_t thread;    /* dense thread number, 0 = first seen */
    uint8_t op;         /* enum hakt_op */
    uint8_t align_log2; /* memalign family: log2 of the alignment asked for; else 0 */
    uint8_t flags;      /* enum hakt_rec_flag */
    uint8_t pad;
};

/* Pinned. The arguments of each in the order of hakt_event.arg. */
enum hakt_event_kind {
    HAKT_EV_MMAP = 1,     /* address got, length, prot, flags */
    HAKT_EV_MUNMAP = 2,   /* address, length */
    HAKT_EV_MREMAP = 3,   /* old address, old length, address got, new length */
    HAKT_EV_MADVISE = 4,  /* address, length, advice */
    HAKT_EV_BRK = 5,      /* end of the heap before, after */
    HAKT_EV_MPROTECT = 6, /* address, length, prot */
    HAKT_EV_FORK = 7,     /* pid of the child */
    HAKT_EV_EXEC = 8,
    HAKT_EV_WINDOW = 9, /* ops that were recorded before this place, and left out */
};

#define HAKT_EVENT_FAILED 1u /* flag: the call failed; an address got is the errno */

struct hakt_event {
    uint64_t time;   /* as of records */
    uint64_t record; /* records before it: it stands before the record of this number */
    uint64_t arg[4];
    uint32_t thread;
    uint16_t kind; /* enum hakt_event_kind, or what a newer writer knows */
    uint16_t flags;
};

enum hakt_fidelity {
    HAKT_HAS_TIMES = 1u << 0,   /* time is real (else only the order is known) */
    HAKT_HAS_THREADS = 1u << 1, /* thread is real (else everything is thread 0) */
    HAKT_EXACT_SIZES = 1u << 2, /* sizes are what the program asked for */
    HAKT_EXACT_IDS = 1u << 3,   /* each free is matched to its very allocation */
    HAKT_GENERATED = 1u << 4,   /* made by a generator, not by a program */
    HAKT_IMPORTED = 1u << 5,    /* converted from another tool's recording */
    HAKT_WHOLE_LIFE = 1u << 6,  /* recorded from the first op of the process */
    HAKT_PACED_TIMES = 1u << 7, /* not each op was stamped: times within bursts are interpolated */
};

/* What the file says about itself. Strings are owned by the reader (valid until close) or, for a
 * writer, by the caller until hakt_writer_open returns; "" where unknown. */
struct hakt_info {
    uint32_t version;       /* of the format; set by the writer */
    uint32_t fidelity;      /* enum hakt_fidelity */
    uint64_t start_unix_ns; /* wall clock at time 0; 0 = unknown */
    uint32_t page_size;     /* of the recording machine */
    uint32_t pid;
    const char *command; /* the program with its arguments, separated by spaces */
    const char *host;
    const char *clock;  /* "tsc", "monotonic", "none" */
    const char *tool;   /* who wrote the file: "haktrace 0.1.0" */
    const char *source; /* for imports and generators: what it was made from */
};

/* Totals. A writer puts them in the trailer; a reader of a file without a trailer (a crash)
 * rebuilds what can be had from the chunks and sets `rebuilt`. */
struct hakt_totals {
    uint64_t records; /* ops and markers */
    uint64_t ops;     /* without markers */
    uint64_t allocs;  /* successful allocations = highest id */
    uint64_t frees;   /* objects consumed by free or realloc */
    uint64_t threads;
    uint64_t chunks;
    uint64_t end_time;        /* ns, of the last record */
    uint64_t dropped;         /* ops the recorder lost (--on-full=drop); UINT64_MAX = unknown */
    uint64_t foreign;         /* records with HAKT_REC_FOREIGN */
    uint64_t peak_live_bytes; /* of bytes asked for, in the trace's order */
    uint64_t peak_live_objects;
    uint64_t live_at_end; /* objects never freed */
    uint64_t events;      /* that are no records */
    uint64_t stamped;    /* ops whose time was read from the clock, with HAKT_PACED_TIMES; else 0 */
    uint64_t file_bytes; /* the whole file's; of the file itself, not written into it */
    uint64_t ops_by_kind[HAKT_OP_COUNT];
    uint32_t end_reason;  /* enum hakt_end */
    uint32_t exit_status; /* as from waitpid, where the recorder knew it; else UINT32_MAX */
};

/* How many ops the recorder lost of one thread. */
struct hakt_thread_drops {
    uint32_t thread;
    uint64_t dropped;
};

enum hakt_end {
    HAKT_END_UNKNOWN = 0, /* no trailer (the recorder died too, or the file is cut), or made of
                             such a file */
    HAKT_END_EXIT = 1,    /* the program exited */
    HAKT_END_KILLED = 2,  /* the program was killed by a signal */
    HAKT_END_STOPPED = 3, /* the recording was stopped while the program went on */
    HAKT_END_LIMIT = 4,   /* a size or time limit, or a full disk, ended the recording */
};

/* ---- writing ------------------------------------------------------------------------------ */

struct hakt_writer;

/* Creates `path` ("-" = stdout; an existing file is replaced) and writes the header. level is
 * zstd's (0 = the default of this library). On failure *w is NULL and nothing is left behind. */
int hakt_writer_open(struct hakt_writer **w, const char *path, const struct hakt_info *info,
                     int level, struct hakc_err *err);

/* From here on a thread of the writer's own compresses and writes chunks, while the next is filled:
 * for a caller that has to keep up with something, and a core to spare. An error so shows one chunk
 * later. The thread blocks all signals. HAKC_ENOMEM: there is none, and the writer works as before.
 */
int hakt_writer_use_thread(struct hakt_writer *w);

/* Appends one record. The writer checks it: times must not decrease, id must be 0 or the next id
 * in order, old_id must be below the next id; HAKC_EINTERNAL otherwise. (It does not check that
 * old_id is still live: hakt_verify does.) Writes when a chunk is full. */
int hakt_write(struct hakt_writer *w, const struct hakt_rec *rec, struct hakc_err *err);

/* The same for a caller that keeps the live set itself: old_size is the size of the object that the
 * record consumes, if any, so that the writer needs no table of them. A writer takes all of its
 * records by the one or all by the other. */
int hakt_write_sized(struct hakt_writer *w, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err);

/* A malloc that made an id, or a free without flags: nearly all records are such. */
struct hakt_plain_rec {
    uint64_t time;
    uint64_t id;   /* made by the malloc; consumed by the free, 0 = it was given NULL */
    uint64_t size; /* of that object */
    uint32_t thread;
    uint32_t is_free;
};

/* As hakt_write_sized for each of n records, in half the time. If it fails, those that could not be
 * taken count as dropped. */
int hakt_write_plain(struct hakt_writer *w, const struct hakt_plain_rec *recs, size_t n,
                     struct hakc_err *err);

/* From here on fn(ctx) is called now and then while a chunk is compressed, at most some 100 us
 * apart: for a caller without a thread of the writer's that has something else to keep up with. It
 * must not call the writer. */
void hakt_writer_set_pause(struct hakt_writer *w, void (*fn)(void *), void *ctx);

/* Appends an event behind the records so far; e->record is not looked at. Its time must not lie
 * before that of the last event or record (HAKC_EINTERNAL). Events cost some 20 bytes each before
 * compression: they are meant for what happens thousands of times less often than ops. */
int hakt_write_event(struct hakt_writer *w, const struct hakt_event *e, struct hakc_err *err);

/* What hakt_writer_close shall say of the threads that lost ops: the caller's until then. */
void hakt_writer_set_drops(struct hakt_writer *w, const struct hakt_thread_drops *drops, size_t n);

/* The id that the next successful allocation must carry. */
uint64_t hakt_writer_next_id(const struct hakt_writer *w);

/* Writes out what is buffered as a chunk of its own, so that a reader sees all records so far.
 * Keep such flushes some time apart: a small chunk compresses badly. */
int hakt_writer_flush(struct hakt_writer *w, struct hakc_err *err);

/* Bytes written to the file so far. */
uint64_t hakt_writer_bytes(const struct hakt_writer *w);

/* Bytes that what was written and is not in the file yet takes there at the most, before it is
 * compressed. Not for each record: it looks at each thread of the chunk. */
uint64_t hakt_writer_pending(const struct hakt_writer *w);

/* Writes the last chunk, the index and the trailer (only dropped, stamped, end_reason and
 * exit_status are taken from *end, which may be NULL; the writer counts the rest itself), fsyncs
 * and closes. Always frees w, also when it fails. *totals (may be NULL) receives the final totals.
 */
int hakt_writer_close(struct hakt_writer *w, const struct hakt_totals *end,
                      struct hakt_totals *totals, struct hakc_err *err);

/* ---- reading ------------------------------------------------------------------------------ */

struct hakt_reader;

/* Opens a trace (a regular file). Reads header and, if there is one, trailer and index; without a
 * trailer it walks the chunk headers and sets rebuilt. A file cut inside a chunk reads up to the
 * last whole chunk. */
int hakt_reader_open(struct hakt_reader **r, const char *path, struct hakc_err *err);
void hakt_reader_close(struct hakt_reader *r);

const struct hakt_info *hakt_reader_info(const struct hakt_reader *r);

/* Totals of the trace; *rebuilt (may be NULL) = 1 if the file has no valid trailer (then fields
 * that the chunk headers do not give are UINT64_MAX: unknown). */
const struct hakt_totals *hakt_reader_totals(const struct hakt_reader *r, int *rebuilt);

/* Decodes the next chunk: *recs points to *n records in the trace's order, owned by the reader
 * and valid until the next call on it. *n = 0 at the end. */
int hakt_reader_next(struct hakt_reader *r, const struct hakt_rec **recs, size_t *n,
                     struct hakc_err *err);

/* The same in parts of up to `most` records, into memory of the caller's: a part needs no more
 * memory than it has records. *n = 0 at the end. What is wrong with a chunk as a whole shows only
 * after its last part. Not to be mixed with hakt_reader_next within a chunk. */
int hakt_reader_next_part(struct hakt_reader *r, struct hakt_rec *recs, size_t most, size_t *n,
                          struct hakc_err *err);

/* The next event: *event is the reader's, valid until the next call; NULL at the end. Records and
 * events are read independently of each other. */
int hakt_reader_next_event(struct hakt_reader *r, const struct hakt_event **event,
                           struct hakc_err *err);

/* The threads that are known to have lost ops. */
const struct hakt_thread_drops *hakt_reader_drops(const struct hakt_reader *r, size_t *n);

/* Back to the first chunk and the first event. */
int hakt_reader_rewind(struct hakt_reader *r, struct hakc_err *err);

/* Positions on the chunk that holds record number `record` (from 0) or the first record at or
 * after `time_ns`; the next hakt_reader_next returns that whole chunk. *first (may be NULL)
 * receives the number of its first record. Past the end is not an error: next then gives 0. */
int hakt_reader_seek_record(struct hakt_reader *r, uint64_t record, uint64_t *first,
                            struct hakc_err *err);
int hakt_reader_seek_time(struct hakt_reader *r, uint64_t time_ns, uint64_t *first,
                          struct hakc_err *err);

/* SHA-256 of the file's bytes as 64 hex digits and a NUL: what sha256sum prints; the trace's name
 * in the database. */
int hakt_file_hash(const char *path, char hex[65], struct hakc_err *err);

/* ---- names and checks --------------------------------------------------------------------- */

const char *hakt_op_name(unsigned op);   /* "malloc", ...; NULL if unknown */
int hakt_op_from_name(const char *name); /* enum hakt_op, or -1 */
int hakt_op_allocates(unsigned op);      /* the family without free and markers */

const char *hakt_event_name(unsigned kind);                   /* "mmap", ...; NULL if unknown */
const char *hakt_event_arg_name(unsigned kind, unsigned arg); /* NULL: it has none */

/* Reads a whole trace and checks what the writer could not: every checksum, every old_id live
 * when consumed, totals equal to the trailer. Memory is bounded by the live set. */
int hakt_verify(const char *path, struct hakt_totals *counted, struct hakc_err *err);

#endif
