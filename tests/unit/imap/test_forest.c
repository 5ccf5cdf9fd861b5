/* Trees that are linked and cut: the same as walking up, and cheap where that is not. */
#include "support/cmocka.h"

#include "imap/forest.h"

enum { NODES = 60, STEPS = 20000, DEEP = 200000 };

static uint32_t walk(const uint32_t *parent, uint32_t v)
{
    while (parent[v] != UINT32_MAX)
        v = parent[v];
    return v;
}

static void same_as_walking(void **state)
{
    struct forest f = FOREST_INIT;
    uint32_t parent[NODES];
    uint32_t rng = 7;
    size_t work = 0, links = 0, cuts = 0;
    (void)state;
    for (int i = 0; i < NODES; i++) {
        forest_add(&f);
        parent[i] = UINT32_MAX;
    }
    for (int i = 0; i < STEPS; i++) {
        rng = rng * 1664525 + 1013904223;
        uint32_t v = (rng >> 8) % NODES, u = (rng >> 16) % NODES;
        assert_int_equal(forest_root(&f, v, &work), walk(parent, v));
        if (rng >> 30 == 0) {
            forest_cut(&f, v, &work);
            parent[v] = UINT32_MAX;
            cuts++;
        } else if (parent[v] == UINT32_MAX && walk(parent, u) != v) {
            forest_link(&f, v, u, &work);
            parent[v] = u;
            links++;
        }
    }
    assert_true(links > 1000 && cuts > 1000);
    forest_done(&f);
}

/* A chain is made from its upper end, or from its lower one, and asked for all the time. */
static void deep(void **state)
{
    for (int down = 0; down < 2; down++) {
        struct forest f = FOREST_INIT;
        size_t work = 0;
        (void)state;
        for (uint32_t i = 0; i < DEEP; i++) {
            forest_add(&f);
            if (i && down)
                forest_link(&f, i, i - 1, &work);
            else if (i)
                forest_link(&f, i - 1, i, &work);
            assert_int_equal(forest_root(&f, i / 2, &work), down ? 0 : i);
            assert_int_equal(forest_root(&f, 0, &work), down ? 0 : i);
        }
        assert_true(work < 60 * (size_t)DEEP); /* walking: DEEP * DEEP / 2 */
        forest_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_walking),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
