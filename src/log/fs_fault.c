/* log/fs_fault.c: the engine of log_fault.h.
 *
 * Every node keeps its bytes as read (`live`) and as on the disk (`disk`); every name likewise the
 * node that it stands for. What is not synced waits in one list of changes, in the order made. */
#include <errno.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/list.h"
#include "log/log_fault.h"

enum {
    FILE_MAX = 1 << 30
}; /* like any file system it has files of a limited size; it is in memory */

struct node {
    struct list link;
    struct buf live, disk;
    bool is_dir, locked;
    uint64_t bad_from, bad_to; /* cannot be read */
    struct node *copy;         /* while a crash copies the disk */
};

struct name {
    struct list link;
    char *path;
    struct node *live, *disk; /* NULL: not there */
};

struct change {
    struct list link;
    enum { CHANGE_WRITE, CHANGE_TRUNCATE, CHANGE_NAME, CHANGE_RENAME } kind;
    struct node *node; /* CHANGE_NAME: what the name stands for; NULL: nothing */
    struct name *name, *from;
    uint64_t at; /* CHANGE_TRUNCATE: the size */
    struct buf bytes;
};

struct log_file {
    struct node *node;
    bool write, lock;
};

struct fault {
    struct log_fs fs;
    pthread_mutex_t mutex;
    struct list nodes, names, changes;
    struct fault_plan plan;
    uint64_t calls, change_count, syncs, capacity;
    struct buf shown;
};

/* --- changes --- */

static void change_free(struct change *c)
{
    list_remove(&c->link);
    buf_done(&c->bytes);
    free(c);
}

static struct change *change_add(struct fault *f, int kind, struct node *node)
{
    struct change *c = xnew(struct change);
    *c = (struct change){.kind = kind, .node = node};
    buf_init(&c->bytes, BUF_UNLIMITED);
    list_push_back(&f->changes, &c->link);
    return c;
}

static void resize(struct buf *b, uint64_t size)
{
    if (size < b->n) {
        buf_truncate(b, size);
    } else if (size > b->n) {
        size_t n = size - b->n;
        memset(buf_reserve(b, n), 0, n);
        buf_commit(b, n);
    }
}

static void put_at(struct buf *b, uint64_t at, const char *p, size_t n)
{
    if (b->n < at + n)
        resize(b, at + n);
    if (n)
        memcpy(b->p + at, p, n);
}

static void apply_name(struct change *c)
{
    c->name->disk = c->node;
    if (c->kind == CHANGE_RENAME)
        c->from->disk = NULL;
}

/* To the disk; of a write the bytes from `from` to `to`. */
static void change_apply(struct change *c, size_t from, size_t to)
{
    switch (c->kind) {
    case CHANGE_WRITE:
        put_at(&c->node->disk, c->at + from, c->bytes.p + from, to - from);
        break;
    case CHANGE_TRUNCATE:
        resize(&c->node->disk, c->at);
        break;
    case CHANGE_NAME:
    case CHANGE_RENAME:
        apply_name(c);
        break;
    }
}

/* --- names --- */

static struct name *name_find(struct fault *f, const char *path)
{
    struct name *n;
    list_each(n, &f->names, link) if (strcmp(n->path, path) == 0) return n;
    return NULL;
}

static struct name *name_get(struct fault *f, const char *path)
{
    struct name *n = name_find(f, path);
    if (n)
        return n;
    n = xnew(struct name);
    n->path = xstrndup(path, strlen(path));
    list_push_back(&f->names, &n->link);
    return n;
}

static struct node *node_new(struct fault *f)
{
    struct node *n = xnew(struct node);
    buf_init(&n->live, BUF_UNLIMITED);
    buf_init(&n->disk, BUF_UNLIMITED);
    list_push_back(&f->nodes, &n->link);
    return n;
}

/* The name of an entry of dir; NULL if the path lies elsewhere. */
static const char *entry_of(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    if (span_eq(span_str(dir), SPAN(".")) && !strchr(path, '/'))
        return path;
    if (strncmp(path, dir, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/'))
        return NULL;
    return path + n + 1;
}

static struct name *name_set(struct fault *f, const char *path, struct node *node)
{
    struct name *name = name_get(f, path);
    name->live = node;
    struct change *c = change_add(f, CHANGE_NAME, node);
    c->name = name;
    return name;
}

/* --- plan --- */

/* What a call must return instead of working; 0: work. */
static int planned(struct fault *f, bool changes)
{
    f->calls++;
    f->change_count += changes;
    if (f->plan.stop_at && f->change_count >= f->plan.stop_at)
        return -EIO;
    uint64_t n = f->plan.fail_for ? f->plan.fail_for : 1;
    if (f->plan.fail_at && !f->plan.short_write && f->calls >= f->plan.fail_at &&
        f->calls < f->plan.fail_at + n)
        return -f->plan.fail_errno;
    return 0;
}

static struct fault *enter(void *ctx)
{
    struct fault *f = ctx;
    pthread_mutex_lock(&f->mutex);
    return f;
}

static int leave(struct fault *f, int rc)
{
    pthread_mutex_unlock(&f->mutex);
    return rc;
}

/* --- the engine --- */

static int make_dir(void *ctx, const char *path)
{
    struct fault *f = enter(ctx);
    struct name *name = name_find(f, path);
    int rc = planned(f, true);
    if (rc == 0 && name && name->live)
        rc = -EEXIST;
    if (rc == 0) {
        struct node *node = node_new(f);
        node->is_dir = true;
        name_set(f, path, node);
    }
    return leave(f, rc);
}

static bool is_dir(struct fault *f, const char *path)
{
    struct name *name = name_find(f, path);
    return name && name->live && name->live->is_dir;
}

static int list_dir(void *ctx, const char *dir, int (*each)(void *arg, const char *name), void *arg)
{
    struct fault *f = enter(ctx);
    struct name *n;
    int rc = planned(f, false);
    if (rc == 0 && !is_dir(f, dir))
        rc = -ENOENT;
    if (rc)
        return leave(f, rc);
    list_each(n, &f->names, link)
    {
        const char *entry = entry_of(dir, n->path);
        if (entry && n->live && rc == 0)
            rc = each(arg, entry);
    }
    return leave(f, rc);
}

static bool parent_exists(struct fault *f, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return true;
    autofree char *dir = xstrndup(path, (size_t)(slash - path));
    return is_dir(f, dir);
}

static struct log_file *file_of(struct node *node, bool write)
{
    struct log_file *file = xnew(struct log_file);
    file->node = node;
    file->write = write;
    return file;
}

static int open_file(void *ctx, const char *path, unsigned flags, struct log_file **ret)
{
    struct fault *f = enter(ctx);
    struct name *name = name_find(f, path);
    struct node *node = name ? name->live : NULL;
    int rc = planned(f, flags & LOG_FS_CREATE);
    if (rc == 0 && flags & LOG_FS_CREATE)
        rc = node ? -EEXIST : parent_exists(f, path) ? 0 : -ENOENT;
    else if (rc == 0 && !node)
        rc = -ENOENT;
    if (rc)
        return leave(f, rc);
    if (!node) {
        node = node_new(f);
        name_set(f, path, node);
    }
    *ret = file_of(node, flags & LOG_FS_WRITE);
    return leave(f, 0);
}

static void close_file(void *ctx, struct log_file *file)
{
    struct fault *f = enter(ctx);
    if (file->lock)
        file->node->locked = false;
    free(file);
    leave(f, 0);
}

static uint64_t used_bytes(struct fault *f)
{
    struct name *n;
    uint64_t sum = 0;
    list_each(n, &f->names, link) sum += n->live ? n->live->live.n : 0;
    return sum;
}

/* How many of n bytes at off the disk has room for. */
static size_t room_for(struct fault *f, const struct node *node, size_t n, uint64_t off)
{
    uint64_t used = used_bytes(f), grows = off + n > node->live.n ? off + n - node->live.n : 0;
    if (!f->capacity || used + grows <= f->capacity)
        return n;
    uint64_t lacking = used + grows - f->capacity;
    return lacking < n ? n - (size_t)lacking : 0;
}

static int64_t write_file(void *ctx, struct log_file *file, const struct iovec *iov, int n,
                          uint64_t off)
{
    struct fault *f = enter(ctx);
    autobuf all = BUF_INIT(BUF_UNLIMITED);
    int rc = planned(f, true);
    if (rc == 0 && !file->write)
        rc = -EBADF;
    if (rc)
        return leave(f, rc);
    for (int i = 0; i < n; i++)
        buf_put(&all, iov[i].iov_base, iov[i].iov_len);
    size_t len = room_for(f, file->node, all.n, off);
    if (f->plan.short_write && f->calls == f->plan.fail_at)
        len /= 2;
    if (f->plan.short_write && f->plan.fail_errno && f->calls == f->plan.fail_at + 1)
        return leave(f, -f->plan.fail_errno);
    if (len == 0 && all.n > 1)
        return leave(f, -ENOSPC);
    struct change *c = change_add(f, CHANGE_WRITE, file->node);
    c->at = off;
    buf_put(&c->bytes, all.p, len);
    put_at(&file->node->live, off, all.p, len);
    leave(f, 0);
    return (int64_t)len;
}

static int64_t read_file(void *ctx, struct log_file *file, void *to, size_t n, uint64_t off)
{
    struct fault *f = enter(ctx);
    const struct buf *live = &file->node->live;
    int rc = planned(f, false);
    if (rc)
        return leave(f, rc);
    if (off < file->node->bad_to && off + n > file->node->bad_from)
        return leave(f, -EIO);
    size_t len = off < live->n ? MIN(n, live->n - (size_t)off) : 0;
    if (len)
        memcpy(to, live->p + off, len);
    leave(f, 0);
    return (int64_t)len;
}

static int64_t file_size(void *ctx, struct log_file *file)
{
    struct fault *f = enter(ctx);
    int rc = planned(f, false);
    int64_t size = rc ? rc : (int64_t)file->node->live.n;
    leave(f, 0);
    return size;
}

static int truncate_file(void *ctx, struct log_file *file, uint64_t size)
{
    struct fault *f = enter(ctx);
    int rc = planned(f, true);
    if (rc == 0 && size > FILE_MAX)
        rc = -EFBIG;
    if (rc == 0) {
        change_add(f, CHANGE_TRUNCATE, file->node)->at = size;
        resize(&file->node->live, size);
    }
    return leave(f, rc);
}

static int sync_file(void *ctx, struct log_file *file)
{
    struct fault *f = enter(ctx);
    struct change *c, *next;
    int rc = planned(f, true);
    bool died = f->plan.stop_at && f->change_count >= f->plan.stop_at;
    f->syncs++;
    if (!died)
        list_each_safe(c, next, &f->changes, link)
        {
            if (c->kind > CHANGE_TRUNCATE || c->node != file->node)
                continue;
            if (rc == 0)
                change_apply(c, 0, c->bytes.n);
            change_free(c); /* after a failure: gone for good */
        }
    return leave(f, rc);
}

static int sync_dir(void *ctx, const char *dir)
{
    struct fault *f = enter(ctx);
    struct change *c, *next;
    int rc = planned(f, true);
    if (rc == 0)
        list_each_safe(c, next, &f->changes, link)
        {
            if (c->kind < CHANGE_NAME || !entry_of(dir, c->name->path))
                continue;
            change_apply(c, 0, 0);
            change_free(c);
        }
    return leave(f, rc);
}

static int rename_file(void *ctx, const char *from, const char *to)
{
    struct fault *f = enter(ctx);
    struct name *a = name_find(f, from);
    int rc = planned(f, true);
    if (rc == 0 && (!a || !a->live))
        rc = -ENOENT;
    if (rc)
        return leave(f, rc);
    struct name *b = name_get(f, to);
    b->live = a->live;
    a->live = NULL;
    struct change *c = change_add(f, CHANGE_RENAME, b->live);
    c->name = b;
    c->from = a;
    return leave(f, 0);
}

static int unlink_file(void *ctx, const char *path)
{
    struct fault *f = enter(ctx);
    struct name *name = name_find(f, path);
    int rc = planned(f, true);
    if (rc == 0 && (!name || !name->live))
        rc = -ENOENT;
    if (rc == 0)
        name_set(f, path, NULL);
    return leave(f, rc);
}

static int lock_file(void *ctx, const char *path, struct log_file **ret)
{
    struct fault *f = enter(ctx);
    struct name *name = name_find(f, path);
    struct node *node = name ? name->live : NULL;
    int rc = planned(f, false);
    if (rc == 0 && !node && !parent_exists(f, path))
        rc = -ENOENT;
    if (rc == 0 && !node) {
        node = node_new(f);
        name_set(f, path, node);
    }
    if (rc == 0 && node->locked)
        rc = -EWOULDBLOCK;
    if (rc)
        return leave(f, rc);
    *ret = file_of(node, true);
    (*ret)->lock = true;
    node->locked = true;
    return leave(f, 0);
}

static int64_t free_space(void *ctx, const char *dir)
{
    struct fault *f = enter(ctx);
    (void)dir;
    uint64_t used = used_bytes(f);
    int rc = planned(f, false);
    int64_t n = !f->capacity ? INT64_MAX : used < f->capacity ? (int64_t)(f->capacity - used) : 0;
    leave(f, 0);
    return rc ? rc : n;
}

static int descriptor(void *ctx, struct log_file *file)
{
    (void)ctx;
    (void)file;
    return -1;
}

static const struct log_fs engine = {
    .make_dir = make_dir,
    .list = list_dir,
    .open = open_file,
    .close = close_file,
    .pwritev = write_file,
    .pread = read_file,
    .size = file_size,
    .truncate = truncate_file,
    .sync = sync_file,
    .sync_dir = sync_dir,
    .rename = rename_file,
    .unlink = unlink_file,
    .lock = lock_file,
    .free_space = free_space,
    .descriptor = descriptor,
};

/* --- the tests' side --- */

struct fault *fault_new(void)
{
    struct fault *f = xnew(struct fault);
    f->fs = engine;
    f->fs.ctx = f;
    pthread_mutex_init(&f->mutex, NULL);
    list_init(&f->nodes);
    list_init(&f->names);
    list_init(&f->changes);
    buf_init(&f->shown, BUF_UNLIMITED);
    return f;
}

void fault_free(struct fault *f)
{
    struct node *node, *next_node;
    struct name *name, *next_name;
    struct change *c, *next;
    if (!f)
        return;
    list_each_safe(c, next, &f->changes, link) change_free(c);
    list_each_safe(name, next_name, &f->names, link)
    {
        free(name->path);
        free(name);
    }
    list_each_safe(node, next_node, &f->nodes, link)
    {
        buf_done(&node->live);
        buf_done(&node->disk);
        free(node);
    }
    buf_done(&f->shown);
    pthread_mutex_destroy(&f->mutex);
    free(f);
}

struct log_fs *fault_fs(struct fault *f)
{
    return &f->fs;
}

void fault_plan(struct fault *f, const struct fault_plan *plan)
{
    f->plan = *plan;
    f->calls = f->change_count = f->syncs = 0;
}

uint64_t fault_calls(struct fault *f)
{
    return f->calls;
}

uint64_t fault_changes(struct fault *f)
{
    return f->change_count;
}

uint64_t fault_syncs(struct fault *f)
{
    return f->syncs;
}

void fault_set_capacity(struct fault *f, uint64_t bytes)
{
    f->capacity = bytes;
}

enum state {
    STATE_WITHOUT,
    STATE_ALONE,
    STATE_UNTIL,
    STATE_HALF,
    STATE_HALF_LAST,
    STATE_HALF_SIZE,
    STATE_SECOND_HALF,
    STATE_SIZE,
    STATES
};

unsigned fault_states(struct fault *f)
{
    unsigned n = 0;
    for (struct list *l = f->changes.next; l != &f->changes; l = l->next)
        n++;
    return 2 + n * STATES;
}

static void extend_disk(struct change *c, size_t n)
{
    if (c->node->disk.n < c->at + n)
        resize(&c->node->disk, c->at + n);
}

/* Change number i, when the state singles out change number x. */
static void apply_in_state(struct change *c, unsigned i, unsigned x, enum state state)
{
    size_t n = c->bytes.n;
    if (i != x) {
        if (state == STATE_ALONE || (i > x && (state == STATE_UNTIL || state == STATE_HALF_LAST)))
            return;
        change_apply(c, 0, n);
        return;
    }
    switch (state) {
    case STATE_ALONE:
        change_apply(c, 0, n);
        break;
    case STATE_HALF:
    case STATE_HALF_LAST:
    case STATE_HALF_SIZE:
        if (c->kind == CHANGE_WRITE)
            change_apply(c, 0, n / 2);
        if (c->kind == CHANGE_WRITE && state == STATE_HALF_SIZE)
            extend_disk(c, n);
        break;
    case STATE_SECOND_HALF:
        if (c->kind == CHANGE_WRITE)
            change_apply(c, n / 2, n);
        break;
    case STATE_SIZE:
        if (c->kind == CHANGE_WRITE)
            extend_disk(c, n);
        break;
    default:
        break;
    }
}

/* A copy of everything, changes included. */
static struct fault *copy_all(struct fault *f)
{
    struct fault *to = fault_new();
    struct node *node;
    struct name *name;
    struct change *c;
    to->capacity = f->capacity;
    list_each(node, &f->nodes, link)
    {
        node->copy = node_new(to);
        node->copy->is_dir = node->is_dir;
        buf_put_span(&node->copy->disk, buf_span(&node->disk));
    }
    list_each(name, &f->names, link)
    {
        struct name *copy = name_get(to, name->path);
        copy->disk = name->disk ? name->disk->copy : NULL;
    }
    list_each(c, &f->changes, link)
    {
        struct change *copy = change_add(to, (int)c->kind, c->node ? c->node->copy : NULL);
        copy->name = c->name ? name_find(to, c->name->path) : NULL;
        copy->from = c->from ? name_find(to, c->from->path) : NULL;
        copy->at = c->at;
        buf_put_span(&copy->bytes, buf_span(&c->bytes));
    }
    return to;
}

struct fault *fault_crash(struct fault *f, unsigned state)
{
    struct fault *to = copy_all(f);
    struct change *c, *next;
    struct node *node;
    struct name *name;
    unsigned i = 0;
    list_each_safe(c, next, &to->changes, link)
    {
        if (state == 1)
            change_apply(c, 0, c->bytes.n);
        else if (state > 1)
            apply_in_state(c, i, (state - 2) / STATES, (enum state)((state - 2) % STATES));
        change_free(c);
        i++;
    }
    list_each(name, &to->names, link) name->live = name->disk;
    list_each(node, &to->nodes, link) buf_put_span(&node->live, buf_span(&node->disk));
    return to;
}

static struct node *live_node(struct fault *f, const char *path)
{
    struct name *name = name_find(f, path);
    return name ? name->live : NULL;
}

bool fault_file(struct fault *f, const char *path, struct span *ret)
{
    struct node *node = live_node(f, path);
    if (!node)
        return false;
    buf_reset(&f->shown);
    buf_put_span(&f->shown, buf_span(&node->live));
    *ret = buf_span(&f->shown);
    return true;
}

bool fault_flip(struct fault *f, const char *path, uint64_t offset, unsigned char mask)
{
    struct node *node = live_node(f, path);
    if (!node || offset >= node->live.n)
        return false;
    node->live.p[offset] = (char)(node->live.p[offset] ^ mask);
    if (offset < node->disk.n)
        node->disk.p[offset] = (char)(node->disk.p[offset] ^ mask);
    return true;
}

bool fault_bad_sector(struct fault *f, const char *path, uint64_t from, uint64_t to)
{
    struct node *node = live_node(f, path);
    if (!node)
        return false;
    node->bad_from = from;
    node->bad_to = to;
    return true;
}

bool fault_remove(struct fault *f, const char *path)
{
    struct name *name = name_find(f, path);
    if (!name || !name->live)
        return false;
    name->live = name->disk = NULL;
    return true;
}

bool fault_cut(struct fault *f, const char *path, uint64_t size)
{
    struct node *node = live_node(f, path);
    if (!node || size > node->live.n)
        return false;
    resize(&node->live, size);
    if (node->disk.n > size)
        resize(&node->disk, size);
    return true;
}
