/* An index in a directory of its own. */
#ifndef TEST_INDEX_FIXTURE_H
#define TEST_INDEX_FIXTURE_H

#include "support/cmocka.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/index.h"
#include "index/tables.h"

struct fixture {
    char dir[64];
    struct index *index;
};

static inline void fixture_open(struct fixture *f, bool believe, enum index_trust expected)
{
    struct err err = {0};
    enum index_trust trust;

    assert_int_equal(index_open(f->dir, believe, &trust, &f->index, &err), 0);
    assert_int_equal(trust, expected);
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = xnew(struct fixture);

    snprintf(f->dir, sizeof(f->dir), "/tmp/martlet-test-index-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    fixture_open(f, true, INDEX_TRUSTED);
    *state = f;
    return 0;
}

static inline void dir_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(dir);
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    index_set_boot_for_test(NULL);
    index_close(f->index);
    dir_remove(f->dir);
    free(f);
    return 0;
}

static inline struct index_txn *fixture_write(struct fixture *f)
{
    struct index_txn *txn;

    assert_int_equal(index_write_begin(f->index, &txn), 0);
    return txn;
}

static inline struct index_txn *fixture_read(struct fixture *f)
{
    struct index_txn *txn;

    assert_int_equal(index_read_begin(f->index, &txn), 0);
    return txn;
}

/* Repeatable pseudo-random numbers. */
static inline uint32_t rnd(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((*seed >> 33) % below);
}

#endif
