#include "kato_fast/spares.h"

#include <stddef.h>

int
kf_spares_init(kf_spares *spares)
{
    spares->count = 0;
    spares->release = NULL;
    return pthread_mutex_init(&spares->lock, NULL);
}

void
kf_spares_free(kf_spares *spares)
{
    while (spares->count > 0) {
        spares->release(spares->items[--spares->count]);
    }
    pthread_mutex_destroy(&spares->lock);
}

void *
kf_spares_take(kf_spares *spares)
{
    void *item = NULL;
    pthread_mutex_lock(&spares->lock);
    if (spares->count > 0) {
        item = spares->items[--spares->count];
    }
    pthread_mutex_unlock(&spares->lock);
    return item;
}

void
kf_spares_give(kf_spares *spares, void *item, void (*release)(void *item))
{
    pthread_mutex_lock(&spares->lock);
    spares->release = release;
    if (spares->count < KF_SPARES_MAX) {
        spares->items[spares->count++] = item;
        item = NULL;
    }
    pthread_mutex_unlock(&spares->lock);
    if (item != NULL) {
        release(item);
    }
}
