/* A few large working memories that are kept between uses, since taking them
 * from the system anew costs more than a small search. Safe from any
 * thread. */
#ifndef KATO_FAST_SPARES_H
#define KATO_FAST_SPARES_H

#include <pthread.h>

#define KF_SPARES_MAX 16u

typedef struct {
    pthread_mutex_t lock;
    unsigned count;
    void *items[KF_SPARES_MAX]; /* owned, all of one kind */
    void (*release)(void *item);
} kf_spares;

/* 0, or what pthread_mutex_init says. */
int kf_spares_init(kf_spares *spares);

/* Releases what is kept; nobody may use the spares any more. */
void kf_spares_free(kf_spares *spares);

/* One that is kept, now the caller's, or NULL. */
void *kf_spares_take(kf_spares *spares);

/* Keep the item, or release it where enough are kept. release: always the
 * same function. */
void kf_spares_give(kf_spares *spares, void *item,
                    void (*release)(void *item));

#endif
