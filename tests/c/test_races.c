/* All at once: readers, a writer whose learning seals blocks, saving, opening,
 * asking what was opened and closing it while its results are read. For the
 * thread sanitizer (make tsan); what is found is checked as well. */
#include "check.h"
#include "sequence.h"

#include "kato_fast/prediction.h"
#include "kato_fast/snapshot.h"
#include "kato_fast/writer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define READERS 2
#define BATCH 500u
#define BATCHES 150u /* a sealed block, and more */
#define PATTERNS (BATCH * BATCHES)
#define SNAPSHOTS 4

typedef struct {
    kf_knowledge *knowledge;
    char path[300];
    atomic_bool stop;
    atomic_uint learned; /* numbers below are there, but for forgotten ones */
    atomic_ulong answers;
} shared;

static bool
never(void *context)
{
    (void)context;
    return false;
}

/* --- asking --- */

static void
check_one(const kf_predictions *predictions)
{
    kf_buffer json;
    kf_buffer_init(&json, &kf_alloc_default);
    kf_write_predictions_json(&json, predictions, false);
    CHECK(!json.failed && json.size >= 2);
    kf_buffer_free(&json);
    for (size_t i = 0; i < predictions->count; i++) {
        const kf_prediction *p = &predictions->items[i];
        CHECK(p->frequency >= 1 && p->pattern->n >= 3 && p->pattern->n <= 4);
    }
}

/* A batch and the same states one by one. */
static void
ask(kf_knowledge *knowledge, uint32_t number)
{
    sequence made[3];
    kf_asked asked[3];
    kf_predictions *all[3];
    kf_match_list list;
    for (uint32_t i = 0; i < 3; i++) {
        sequence_numbered(&made[i], number + 77 * i);
        asked[i] = (kf_asked){.texts = made[i].symbols, .m = made[i].n};
    }
    CHECK(kf_predict_many(knowledge, asked, 3, 0.7, 5, all, NULL) == KF_OK);
    for (uint32_t i = 0; i < 3; i++) {
        check_one(all[i]);
        kf_predictions_free(all[i]);
    }
    CHECK(kf_match_all(knowledge, made[0].symbols, made[0].n, 0.7, &list,
                       NULL) == KF_OK);
    kf_match_list_free(&list);
}

static void *
read_on(void *argument)
{
    shared *all = argument;
    for (uint32_t i = 0; !atomic_load(&all->stop); i++) {
        ask(all->knowledge, i * 4801 % (atomic_load(&all->learned) + 1));
        atomic_fetch_add(&all->answers, 1);
    }
    return NULL;
}

/* --- writing --- */

static void
learn_batch(kf_knowledge *knowledge, uint32_t first, uint32_t n)
{
    sequence *made = malloc(n * sizeof *made);
    kf_sequence *given = malloc(n * sizeof *given);
    kf_learned *learned = malloc(n * sizeof *learned);
    for (uint32_t i = 0; i < n; i++) {
        sequence_numbered(&made[i], first + i);
        given[i] = sequence_borrow(&made[i], NULL);
    }
    CHECK(kf_knowledge_learn(knowledge, given, n, learned, NULL) == KF_OK);
    free(learned);
    free(given);
    free(made);
}

static void *
write_on(void *argument)
{
    shared *all = argument;
    for (uint32_t first = 0; first < PATTERNS; first += BATCH) {
        learn_batch(all->knowledge, first, BATCH);
        atomic_store(&all->learned, first + BATCH);
        CHECK(sequence_forget_numbered(all->knowledge, first + 7));
        learn_batch(all->knowledge, first + 9, 1); /* once more */
    }
    return NULL;
}

/* --- saving, opening, closing --- */

static void *
read_result(void *argument)
{
    for (int i = 0; i < 20; i++) {
        check_one(argument);
    }
    return NULL;
}

/* What was opened is closed while another thread reads what it answered. */
static void
open_and_close(const char *path)
{
    kf_knowledge *opened = NULL;
    kf_predictions *predictions;
    pthread_t reader;
    sequence made;
    if (!CHECK(kf_snapshot_open(&kf_alloc_default, path, 2, &opened, NULL) ==
               KF_OK)) {
        return;
    }
    sequence_numbered(&made, 5);
    CHECK(kf_predict(opened, &(kf_asked){.texts = made.symbols, .m = made.n},
                     0.5, 20, &predictions, NULL) == KF_OK);
    CHECK(pthread_create(&reader, NULL, read_result, predictions) == 0);
    ask(opened, 3);
    kf_knowledge_free(opened);
    CHECK(pthread_join(reader, NULL) == 0);
    kf_predictions_free(predictions);
}

static void *
save_on(void *argument)
{
    shared *all = argument;
    kf_snapshot_caller caller = {never, NULL};
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        while (atomic_load(&all->learned) < (i + 1) * PATTERNS / SNAPSHOTS) {
            usleep(1000);
        }
        CHECK(kf_snapshot_save(all->knowledge, all->path, caller, NULL) ==
              KF_OK);
        open_and_close(all->path);
    }
    return NULL;
}

int
main(void)
{
    const char *temporary = getenv("TMPDIR");
    shared all = {.knowledge =
                      sequence_knowledge(&kf_alloc_default, false, 2)};
    pthread_t readers[READERS], writer, saver, last;
    kf_predictions *predictions;
    sequence made;
    snprintf(all.path, sizeof all.path, "%s/kf_races_%ld",
             temporary != NULL ? temporary : "/tmp", (long)getpid());
    CHECK(pthread_create(&writer, NULL, write_on, &all) == 0);
    CHECK(pthread_create(&saver, NULL, save_on, &all) == 0);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_on, &all) == 0);
    }
    CHECK(pthread_join(writer, NULL) == 0);
    CHECK(pthread_join(saver, NULL) == 0);
    atomic_store(&all.stop, true);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    CHECK(atomic_load(&all.answers) > 0);
    sequence_numbered(&made, 5);
    CHECK(kf_predict(all.knowledge,
                     &(kf_asked){.texts = made.symbols, .m = made.n}, 0.5, 20,
                     &predictions, NULL) == KF_OK);
    CHECK(pthread_create(&last, NULL, read_result, predictions) == 0);
    CHECK(kf_knowledge_count(all.knowledge) == PATTERNS - BATCHES);
    kf_knowledge_free(all.knowledge); /* closing, while a result is read */
    CHECK(pthread_join(last, NULL) == 0);
    kf_predictions_free(predictions);
    unlink(all.path);
    return check_report();
}
