/*
 * Remote frees: blocks freed by a thread whose heap does not own the slab.
 *
 * They travel in parcels. A parcel holds blocks of one slab; its first block carries, in its own
 * free memory, how many there are and where the others lie, so that who frees touches one line of
 * memory for all of them, and the owner learns all addresses at once instead of following a chain
 * of links through memory that another core holds. A heap packs HAK_PARCELS parcels at a time,
 * each for another slab; full ones are sent, others when their place is needed, at every 16th
 * refill of the heap, at a trim and at the thread's end. So a thread that stops keeps at most
 * HAK_PARCELS * HAK_PARCEL_BYTES from their owners, in as many slabs, which stay in use for that.
 * Its first 64 frees a thread sends one by one: most free few blocks of others, and keep nothing
 * back.
 *
 * A parcel is pushed onto the slab with one CAS (a stack); whoever finds the stack empty also puts
 * the slab on the owner's pending list. The owner takes whole stacks when it runs out of blocks.
 */
#ifndef ALLOC_REMOTE_H
#define ALLOC_REMOTE_H

#include "alloc/internal.h"

/* p is a block of a slab that h does not own; s is the metadata of its unit. h may be the empty
 * heap: then nothing is packed. */
void hak_remote_free(struct hak_heap *h, struct hak_slab *s, void *p);

/* Sends what h has packed. */
void hak_remote_send(struct hak_heap *h);

/* Takes in what others have freed. */
void hak_remote_collect(struct hak_heap *h);

static inline bool hak_remote_pending(const struct hak_heap *h) {
    return atomic_load_explicit(&h->pending, memory_order_relaxed) != NULL;
}

#endif
