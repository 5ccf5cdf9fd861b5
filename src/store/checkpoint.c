/* Checkpoints: synced copies of the index, from which a lost one comes back with a bounded replay.
 */
#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "store/checkpoint_int.h"

static const struct span PREFIX = {"checkpoint-", 11};

/* --- files --- */

void checkpoint_name(uint64_t seq, char ret[CHECKPOINT_NAME_MAX])
{
    snprintf(ret, CHECKPOINT_NAME_MAX, "checkpoint-%020llu", (unsigned long long)seq);
}

static int compare_seq(const void *a, const void *b)
{
    uint64_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

int checkpoints_list(const char *dir, struct checkpoint_list *ret, struct err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    uint64_t seq;

    *ret = (struct checkpoint_list){0};
    if (!d)
        return errno == ENOENT ? 0 : err_set_errno(err, "list %s", dir);
    while ((e = readdir(d)) != NULL) {
        struct span name = span_str(e->d_name);

        if (!span_starts(name, PREFIX) ||
            !span_to_u64(span_skip(name, PREFIX.n), UINT64_MAX - 1, &seq))
            continue;
        ret->seq = xrealloc_array(ret->seq, ret->n + 1, sizeof(*ret->seq));
        ret->seq[ret->n++] = seq;
    }
    closedir(d);
    if (ret->n > 0)
        qsort(ret->seq, ret->n, sizeof(*ret->seq), compare_seq);
    return 0;
}

void checkpoint_list_done(struct checkpoint_list *list)
{
    free(list->seq);
    *list = (struct checkpoint_list){0};
}

static int remove_file(const char *dir, const char *name, struct err *err)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);

    buf_printf(&path, "%s/%s", dir, name);
    return unlink(path.p) < 0 && errno != ENOENT ? err_set_errno(err, "remove %s", path.p) : 0;
}

/* What a process that died left of checkpoints it was making. */
static void remove_unfinished(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        struct span name = span_str(e->d_name);

        if (span_starts(name, PREFIX) && span_ends(name, SPAN(".new")))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

int checkpoints_remove(const char *dir, uint64_t below, struct err *err)
{
    struct checkpoint_list list;
    int rc = checkpoints_list(dir, &list, err);

    for (size_t i = 0; rc == 0 && i < list.n && list.seq[i] < below; i++) {
        char name[CHECKPOINT_NAME_MAX];

        checkpoint_name(list.seq[i], name);
        rc = remove_file(dir, name, err);
    }
    checkpoint_list_done(&list);
    remove_unfinished(dir);
    return rc;
}

/* --- making one --- */

struct checkpoint {
    struct index *index;
    struct index_copy *copy;
    struct index_state state; /* that it holds */
    int rc;
    struct err err;
};

bool checkpoint_due(struct index_txn *txn)
{
    struct index_state s;

    return index_state_get(txn, &s) == 0 && (s.ops_since_checkpoint >= CHECKPOINT_OPS ||
                                             s.bytes_since_checkpoint >= CHECKPOINT_OPS_BYTES);
}

bool checkpoint_worthwhile(struct index_txn *txn)
{
    struct index_state s;

    return index_state_get(txn, &s) == 0 && (s.ops_since_checkpoint >= CHECKPOINT_OPS / 16 ||
                                             s.bytes_since_checkpoint >= CHECKPOINT_OPS_BYTES / 16);
}

int checkpoint_begin(struct index *index, struct checkpoint **ret, struct err *err)
{
    struct checkpoint *c = xnew(struct checkpoint);
    struct index_txn *txn;
    int rc = index_read_begin(index, &txn);

    c->index = index;
    index_check_readers(index);
    if (rc == 0) {
        rc = index_state_get(txn, &c->state);
        index_read_end(txn);
    }
    if (rc == 0)
        rc = index_copy_begin(index, &c->copy);
    if (rc) {
        free(c);
        return err_set(err, rc, "begin a checkpoint: %s", err_name(rc));
    }
    *ret = c;
    return 0;
}

void checkpoint_run(struct checkpoint *c)
{
    char name[CHECKPOINT_NAME_MAX];

    checkpoint_name(c->state.applied_seq, name);
    c->rc = index_copy_run(c->copy, name, &c->err);
    if (c->rc == 0)
        c->rc = checkpoints_remove(index_dir(c->index), c->state.applied_seq, &c->err);
}

int checkpoint_end(struct checkpoint *c, struct index_txn *txn, struct err *err)
{
    struct index_state now;
    int rc = c->rc;

    if (rc)
        err_set(err, rc, "%s", c->err.text);
    if (rc == 0 && txn) {
        rc = index_state_get(txn, &now);
        now.ops_since_checkpoint -= MIN(now.ops_since_checkpoint, c->state.ops_since_checkpoint);
        now.bytes_since_checkpoint -=
            MIN(now.bytes_since_checkpoint, c->state.bytes_since_checkpoint);
        if (rc == 0)
            rc = index_state_put(txn, &now);
    }
    index_copy_free(c->copy);
    free(c);
    return rc;
}
