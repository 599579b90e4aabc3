/* The allocator's statistics as structs and as text; each counts when it is called. */
#ifndef ALLOC_MALLOC_REPORT_H
#define ALLOC_MALLOC_REPORT_H

#include "alloc/hakmem.h"
#include "alloc/put_text.h"

/* Both structs belong to the caller. Callable before the first allocation. */
void hak_report_stats(struct hakmem_stats *out);

/* The classes with slabs, at most n; returns how many there are. */
size_t hak_report_classes(struct hakmem_class *out, size_t n);

/* The heaps with the numbers from `first` on, at most n; returns how many there are in all. */
size_t hak_report_threads(struct hakmem_thread *out, size_t first, size_t n);

/* One JSON document, with a newline at its end. docs/man/hakmem.7 describes it. */
void hak_report_json(struct hak_text *t);

/* What glibc's malloc_info and malloc_stats print, in their form. */
void hak_report_xml(struct hak_text *t);
void hak_report_arena(struct hak_text *t);

/* Writes all of it, or what goes. Changes errno. */
void hak_report_write(int fd, const char *buf, size_t n);

#endif
