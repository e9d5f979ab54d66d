/* Emotives: copies, averages in the host's order, shares. */
#include "check.h"

#include "kato_fast/emotives.h"

#include <string.h>

#define ITEM(text, value) {{(text), sizeof(text) - 1}, (value)}

static const kf_emotive first[] = {ITEM("joy", 0.1), ITEM("fear", -2.0)};
static const kf_emotive second[] = {ITEM("", 5.0), ITEM("joy", 0.2)};
static const kf_emotive third[] = {ITEM("joy", 0.3)};
static const kf_emotive_map maps[] = {
    {first, 2}, {NULL, 0}, {second, 2}, {third, 1}};

static bool
is_item(const kf_emotive *item, const char *name, double value)
{
    return item->name.size == strlen(name) &&
           memcmp(item->name.bytes, name, item->name.size) == 0 &&
           item->value == value;
}

static void
check_contents(const kf_emotives *emotives)
{
    kf_emotive_map average = kf_emotives_average(emotives);
    double joy = 0.0;
    joy += 0.1;
    joy += 0.2;
    joy += 0.3;
    CHECK(average.count == 3);
    CHECK(is_item(&average.items[0], "joy", joy / 3));
    CHECK(is_item(&average.items[1], "fear", -2.0));
    CHECK(is_item(&average.items[2], "", 5.0));
    CHECK(kf_emotives_count(emotives) == 4);
    CHECK(kf_emotives_map(emotives, 0).count == 2);
    CHECK(kf_emotives_map(emotives, 1).count == 0);
    CHECK(is_item(&kf_emotives_map(emotives, 2).items[0], "", 5.0));
    CHECK(is_item(&kf_emotives_map(emotives, 3).items[0], "joy", 0.3));
}

static void
test_average(void)
{
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&kf_alloc_default, maps, 4, &emotives, NULL) ==
          KF_OK);
    check_contents(emotives);
    CHECK(kf_emotives_memory(emotives) > 5 * sizeof(kf_emotive));
    kf_emotives_release(emotives);
}

/* The names are copies: what they came from may go. */
static void
test_names_are_copied(void)
{
    char name[] = "joy";
    kf_emotive item = {{name, 3}, 1.5};
    kf_emotive_map map = {&item, 1};
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&kf_alloc_default, &map, 1, &emotives, NULL) ==
          KF_OK);
    memset(name, 'x', 3);
    item.value = 7.0;
    CHECK(is_item(&kf_emotives_map(emotives, 0).items[0], "joy", 1.5));
    CHECK(is_item(&kf_emotives_average(emotives).items[0], "joy", 1.5));
    kf_emotives_release(emotives);
}

static void
test_nothing_in_it(void)
{
    static const kf_emotive_map empty = {NULL, 0};
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&kf_alloc_default, &empty, 1, &emotives, NULL) ==
          KF_OK);
    CHECK(kf_emotives_count(emotives) == 1);
    CHECK(kf_emotives_average(emotives).count == 0);
    kf_emotives_release(emotives);
    CHECK(kf_emotives_new(&kf_alloc_default, NULL, 0, &emotives, NULL) ==
          KF_OK);
    CHECK(kf_emotives_count(emotives) == 0);
    kf_emotives_release(emotives);
    CHECK(kf_emotives_memory(NULL) == 0);
}

static void
test_shares(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    kf_emotives *emotives;
    CHECK(kf_emotives_new(&alloc, maps, 4, &emotives, NULL) == KF_OK);
    CHECK(kf_emotives_share(emotives) == emotives);
    kf_emotives_release(emotives);
    check_contents(emotives);
    kf_emotives_release(emotives);
    CHECK(memory.live == 0);
    CHECK(kf_emotives_share(NULL) == NULL);
    kf_emotives_release(NULL);
}

static void
test_no_memory(void)
{
    check_memory memory = {0};
    kf_alloc alloc = check_alloc(&memory);
    int failures = 0;
    CHECK_EACH_FAILURE (memory, done) {
        kf_emotives *emotives = NULL;
        kf_error err;
        done = kf_emotives_new(&alloc, maps, 4, &emotives, &err) == KF_OK;
        CHECK(done || (err.code == KF_NO_MEMORY && emotives == NULL));
        failures += !done;
        kf_emotives_release(emotives);
    }
    CHECK(failures == 1);
}

int
main(void)
{
    test_average();
    test_names_are_copied();
    test_nothing_in_it();
    test_shares();
    test_no_memory();
    return check_report();
}
