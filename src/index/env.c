/* Opening, trusting, closing and copying an environment. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/crc32c.h"
#include "base/logline.h"
#include "index/derived.h"

/* Address space is free, remapping is not. ThreadSanitizer's own maps leave less of it. */
#if defined(__SANITIZE_THREAD__)
#define MAP_SIZE (1ULL << 30)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define MAP_SIZE (1ULL << 30)
#endif
#endif
#ifndef MAP_SIZE
#define MAP_SIZE (64ULL << 30)
#endif

enum {
    READERS_MAX = 510,
    RESERVE_STEP = 1 << 20,
    COPY_STEP = 1 << 20,
    SPACE_LOOKS = 64,         /* commits between two looks at the free space */
    SPACE_PLENTY = 256 << 20, /* octets */
};

static const char *const TABLE_NAMES[TABLE_COUNT] = {
    [TABLE_ROW] = "row",         [TABLE_CHUNK] = "chunk", [TABLE_GHOST] = "ghost",
    [TABLE_GONE] = "gone",       [TABLE_NAME] = "name",   [TABLE_MISC] = "misc",
    [TABLE_MESSAGE] = "message",
};

static const unsigned TABLE_FLAGS[TABLE_COUNT] = {
    [TABLE_ROW] = MDB_INTEGERKEY,
    [TABLE_CHUNK] = MDB_INTEGERKEY,
    [TABLE_GHOST] = MDB_INTEGERKEY,
    [TABLE_MESSAGE] = MDB_INTEGERKEY,
};

static char *path_in(const char *dir, const char *name)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);

    buf_put_str(&b, dir);
    buf_put_byte(&b, '/');
    buf_put_str(&b, name);
    return buf_take(&b);
}

static int dir_sync(const char *dir, struct err *err)
{
    autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return err_set_errno(err, "sync directory %s", dir);
    return 0;
}

/* --- trust --- */

struct trust {
    char boot[16];
    uint64_t filesystem, inode, generation;
    bool clean;
    uint64_t txnid; /* of a clean close */
};

enum { TRUST_MAGIC = 0x5254584d, TRUST_SIZE = 4 + 16 + 8 * 4 + 1 + 4 };

static const char *boot_for_test;

void index_set_boot_for_test(const char *boot)
{
    boot_for_test = boot;
}

static char machine_boot[16]; /* set once, then constant */
static pthread_once_t machine_boot_once = PTHREAD_ONCE_INIT;

static void boot_fold(const char *text, size_t n, char ret[16])
{
    memset(ret, 0, 16);
    for (size_t i = 0; i < n; i++)
        ret[i % 16] = (char)((unsigned char)ret[i % 16] * 33U + (unsigned char)text[i]);
}

static void boot_read(void)
{
    autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    char text[64];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

    boot_fold(text, n > 0 ? (size_t)n : 0, machine_boot);
}

/* The machine's boot id, folded to 16 octets. All zero if the kernel does not tell: never believed.
 */
static void boot_id(char ret[16])
{
    pthread_once(&machine_boot_once, boot_read);
    if (boot_for_test)
        boot_fold(boot_for_test, strlen(boot_for_test), ret);
    else
        memcpy(ret, machine_boot, 16);
}

static int place_of(const char *path, uint64_t *ret_filesystem, uint64_t *ret_inode)
{
    struct stat st;
    struct statfs fs;

    if (stat(path, &st) < 0 || statfs(path, &fs) < 0)
        return -1;
    _Static_assert(sizeof(fs.f_fsid) == sizeof(uint64_t), "a file-system id has 64 bits");
    memcpy(ret_filesystem, &fs.f_fsid, sizeof(*ret_filesystem));
    *ret_inode = st.st_ino;
    return 0;
}

static bool trust_read(const char *dir, struct trust *ret)
{
    autofree char *path = path_in(dir, "trust");
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    char bytes[TRUST_SIZE];
    struct reader r = reader_make(span_make(bytes, sizeof(bytes)));

    if (fd < 0 || read(fd, bytes, sizeof(bytes)) != sizeof(bytes) ||
        load_le32(bytes + TRUST_SIZE - 4) != crc32c(0, bytes, TRUST_SIZE - 4) ||
        read_u32(&r) != TRUST_MAGIC)
        return false;
    memcpy(ret->boot, read_bytes(&r, 16).p, 16);
    ret->filesystem = read_u64(&r);
    ret->inode = read_u64(&r);
    ret->generation = read_u64(&r);
    ret->txnid = read_u64(&r);
    ret->clean = read_u8(&r) != 0;
    return true;
}

/* In place: 61 octets do not tear within one boot, and a clean mark is synced before and after it
 * counts. */
static int trust_put(const char *dir, const struct trust *t, bool sync, struct err *err)
{
    autofree char *path = path_in(dir, "trust");
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    autobuf b = BUF_INIT(TRUST_SIZE);

    put_u32(&b, TRUST_MAGIC);
    buf_put(&b, t->boot, 16);
    put_u64(&b, t->filesystem);
    put_u64(&b, t->inode);
    put_u64(&b, t->generation);
    put_u64(&b, t->txnid);
    put_u8(&b, t->clean);
    put_u32(&b, crc32c(0, b.p, b.n));
    if (fd < 0 || pwrite(fd, b.p, b.n, 0) != (ssize_t)b.n || (sync && fdatasync(fd) < 0))
        return err_set_errno(err, "write %s", path);
    return 0;
}

static int trust_make(struct index *index, uint64_t generation, bool clean, bool sync,
                      struct err *err)
{
    autofree char *path = path_in(index->dir, "data.mdb");
    struct trust t = {.generation = generation, .clean = clean};
    MDB_envinfo info;

    boot_id(t.boot);
    if (place_of(path, &t.filesystem, &t.inode) < 0)
        return err_set_errno(err, "look at %s", path);
    if (mdb_env_info(index->env, &info) == 0)
        t.txnid = info.me_last_txnid;
    return trust_put(index->dir, &t, sync, err);
}

int trust_write(struct index *index, uint64_t generation, bool clean)
{
    struct err err = {0};
    int rc = trust_make(index, generation, clean, false, &err);

    if (rc)
        index_fail(index, rc);
    return rc;
}

/* Judges by the files alone; the generation is compared once the environment is open. */
static enum index_trust trust_judge(const char *dir, struct trust *t)
{
    autofree char *path = path_in(dir, "data.mdb");
    char boot[16];
    static const char nowhere[16];
    uint64_t filesystem, inode;

    if (access(path, F_OK) < 0)
        return INDEX_MISSING;
    boot_id(boot);
    if (!trust_read(dir, t) || place_of(path, &filesystem, &inode) < 0)
        return INDEX_UNTRUSTED;
    if (t->filesystem != filesystem || t->inode != inode)
        return INDEX_UNTRUSTED;
    if (memcmp(boot, nowhere, 16) != 0 && memcmp(t->boot, boot, 16) == 0)
        return INDEX_TRUSTED;
    return t->clean ? INDEX_TRUSTED : INDEX_UNTRUSTED;
}

/* --- opening --- */

/* LMDB found its own data impossible. It would go on if this returned, and must not; so it ends the
 * process, after the mark that makes the next opening throw this index away. */
static void lmdb_assert_failed(MDB_env *env, const char *text)
{
    struct index *index = mdb_env_get_userctx(env);
    autofree char *path = path_in(index->dir, "trust");

    unlink(path);
    log_event(LOG_ERROR, "index_assert", "dir", index->dir, "text", text, NULL);
    invariant_failed(text, "lmdb", 0);
}

static int state_init(struct index *index, struct index_txn *txn)
{
    struct key key;
    struct span value;
    int rc;

    key_state(&key);
    rc = table_get(txn, TABLE_MAIN, &key, &value);
    if (rc == ERR_NOT_FOUND && index->reader) {
        rc = ERR_CORRUPT;
    } else if (rc == ERR_NOT_FOUND) {
        txn->state_loaded = txn->state_dirty = true;
        txn->own = (struct index_own){0};
        txn->state = (struct index_state){0};
        rc = state_flush(txn);
    } else if (rc == 0) {
        rc = state_load(txn);
    }
    if (rc == 0)
        index->generation = txn->own.generation;
    return rc;
}

/* Opens the tables; creates them where there are none yet. */
static int tables_open(struct index *index, bool create)
{
    struct index_txn txn = {.index = index, .writes = create};
    int rc = mdb_txn_begin(index->env, NULL, create ? 0 : MDB_RDONLY, &txn.txn);

    if (rc)
        return index_lmdb_error(index, rc);
    for (int t = 0; rc == 0 && t < TABLE_COUNT; t++)
        rc = mdb_dbi_open(txn.txn, TABLE_NAMES[t],
                          TABLE_FLAGS[t] | (create && TABLE_NAMES[t] ? MDB_CREATE : 0),
                          &index->dbi[t]);
    rc = index_lmdb_error(index, rc);
    if (rc == 0)
        rc = state_init(index, &txn);
    for (int t = 0; !create && t < TABLE_COUNT; t++) {
        if (txn.cursors[t].mc)
            mdb_cursor_close(txn.cursors[t].mc);
    }
    if (rc)
        mdb_txn_abort(txn.txn);
    else
        rc = index_lmdb_error(index, mdb_txn_commit(txn.txn));
    return rc;
}

/* Pages that were given up in the transaction that took them are never written, so the file may end
 * before the last page number; but a look beyond its end would be a SIGBUS, and zeros are merely no
 * valid page. */
static int file_extend(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int fd;

    if (mdb_env_info(env, &info) || mdb_env_stat(env, &stat) || mdb_env_get_fd(env, &fd) ||
        fstat(fd, &st) < 0)
        return -1;
    if ((uint64_t)st.st_size >= (info.me_last_pgno + 1) * stat.ms_psize)
        return 0;
    return ftruncate(fd, (off_t)((info.me_last_pgno + 1) * stat.ms_psize));
}

static int env_open(struct index *index, bool create, struct err *err)
{
    int rc = mdb_env_create(&index->env);

    if (rc)
        return err_set(err, ERR_IO, "mdb_env_create: %s", mdb_strerror(rc));
    mdb_env_set_userctx(index->env, index);
    mdb_env_set_assert(index->env, lmdb_assert_failed);
    mdb_env_set_maxdbs(index->env, TABLE_COUNT);
    mdb_env_set_maxreaders(index->env, READERS_MAX);
    mdb_env_set_mapsize(index->env, MAP_SIZE);
    /* Not MDB_NORDAHEAD: measured cold, it makes a walk over all rows ten times slower (a
     * million: 1.4 s instead of 0.1 s), and a random look only four times faster (10 us instead of
     * 40 us). */
    rc = mdb_env_open(index->env, index->dir, MDB_NOTLS | (index->reader ? MDB_RDONLY : MDB_NOSYNC),
                      0600);
    if (rc)
        return err_set(err, index_lmdb_error(index, rc), "open index %s: %s", index->dir,
                       mdb_strerror(rc));
    mdb_reader_check(index->env, NULL);
    if (!create && !index->reader && file_extend(index->env) < 0)
        return err_set_errno(err, "look at index %s", index->dir);
    rc = tables_open(index, create);
    if (rc)
        err_set(err, rc, "index %s: no usable tables (%s)", index->dir, err_name(rc));
    return rc;
}

static void index_free(struct index *index)
{
    if (!index)
        return;
    derived_close(index->derived);
    while (index->idle_count > 0)
        index_txn_discard(index->idle[--index->idle_count]);
    if (index->env)
        mdb_env_close(index->env);
    free(index->dir);
    free(index);
}

static void cleanup_index(struct index **index)
{
    index_free(*index);
}

/* Whether the environment is the one that `trust` speaks of. */
static bool generation_fits(struct index *index, const struct trust *t)
{
    MDB_envinfo info;
    char boot[16];

    boot_id(boot);
    if (memcmp(t->boot, boot, 16) != 0 &&
        (mdb_env_info(index->env, &info) || info.me_last_txnid != t->txnid))
        return false;
    return index->generation == t->generation || index->generation + 1 == t->generation;
}

int index_open(const char *dir, bool believe, enum index_trust *ret_trust, struct index **ret,
               struct err *err)
{
    cleanup_with(cleanup_index) struct index *index = NULL;
    struct trust t = {0};
    enum index_trust trust = believe ? INDEX_TRUSTED : trust_judge(dir, &t);
    bool create;
    int rc;

    *ret_trust = trust;
    *ret = NULL;
    if (trust != INDEX_TRUSTED)
        return 0;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, "make %s", dir);
    index = xnew(struct index);
    index->dir = xstrndup(dir, strlen(dir));
    autofree char *data = path_in(dir, "data.mdb");
    create = access(data, F_OK) < 0;
    rc = env_open(index, create, err);
    if (rc == 0 && !believe && !generation_fits(index, &t))
        rc = err_set(err, ERR_CORRUPT, "index %s is not the one last used", dir);
    if (rc == ERR_CORRUPT && !believe) {
        *ret_trust = INDEX_UNTRUSTED;
        return 0;
    }
    /* A clean mark ends here, durably, before anything is written that it would vouch for. */
    if (rc == 0 && (believe || t.clean))
        rc = trust_make(index, index->generation, false, true, err);
    if (rc)
        return rc;
    index->derived = derived_open(dir);
    rc = believe ? derived_sweep(index) : 0;
    if (rc)
        return err_set(err, rc, "read index %s: %s", dir, err_name(rc));
    *ret = take_ptr(index);
    return 0;
}

int index_which(struct index *index, struct index_which *ret)
{
    autofree char *path = path_in(index->dir, "data.mdb");

    ret->generation = index->generation;
    return place_of(path, &ret->filesystem, &ret->inode) < 0 ? ERR_IO : 0;
}

int index_open_reader(const char *dir, const struct index_which *which, struct index **ret,
                      struct err *err)
{
    cleanup_with(cleanup_index) struct index *index = xnew(struct index);
    struct index_which now;
    struct stat st;
    int fd, rc;

    index->dir = xstrndup(dir, strlen(dir));
    index->reader = true;
    rc = index_which(index, &now);
    if (rc == 0 && (now.filesystem != which->filesystem || now.inode != which->inode))
        rc = ERR_CLOSED;
    if (rc)
        return err_set(err, rc, "index %s is not the one that its owner uses", dir);
    rc = env_open(index, false, err);
    if (rc)
        return rc;
    /* What was opened, not what the name meant a moment ago. */
    if (mdb_env_get_fd(index->env, &fd) || fstat(fd, &st) < 0 || st.st_ino != which->inode ||
        index->generation < which->generation)
        return err_set(err, ERR_CLOSED, "index %s is not the one that its owner uses", dir);
    index->derived = derived_open(dir);
    index->derived->reader = true;
    *ret = take_ptr(index);
    return 0;
}

void index_close(struct index *index)
{
    if (!index)
        return;
    invariant(!index->writer && index->reader_count == 0);
    /* Give back the blocks that index_reserve took beyond the end. */
    if (index->reserved_end > 0) {
        struct stat st;
        int fd;

        if (mdb_env_get_fd(index->env, &fd) == 0 && fstat(fd, &st) == 0 &&
            ftruncate(fd, st.st_size) < 0)
            log_text(LOG_WARNING, "index_trim", "%s: errno %d", index->dir, errno);
    }
    index_free(index);
}

int index_close_clean(struct index *index, struct err *err)
{
    autofree char *dir = xstrndup(index->dir, strlen(index->dir));
    int rc = index->failed;

    if (rc)
        err_set(err, rc, "index %s had failed (%s)", dir, err_name(rc));
    if (rc == 0) {
        rc = mdb_env_sync(index->env, 1);
        if (rc)
            rc = err_set(err, index_lmdb_error(index, rc), "sync index %s: %s", dir,
                         mdb_strerror(rc));
    }
    if (rc == 0)
        rc = derived_sync(dir, err);
    if (rc == 0)
        rc = trust_make(index, index->generation, true, true, err);
    if (rc == 0)
        rc = dir_sync(dir, err);
    index_close(index);
    return rc;
}

const char *index_dir(const struct index *index)
{
    return index->dir;
}

/* With plenty of free space a look at it will do, now and then; when it gets scarce, blocks are
 * reserved. */
static bool space_is_plenty(struct index *index, int fd, uint64_t bytes)
{
    struct statfs fs;

    if (index->space_plenty && index->space_looks++ % SPACE_LOOKS != 0 && bytes < RESERVE_STEP)
        return true;
    index->space_plenty = fstatfs(fd, &fs) == 0 && fs.f_bavail > 0 &&
                          (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize > SPACE_PLENTY + 2 * bytes;
    return index->space_plenty;
}

int index_reserve(struct index *index, uint64_t pages)
{
    MDB_envinfo info;
    MDB_stat stat;
    uint64_t end, from;
    int fd;

    if (mdb_env_info(index->env, &info) || mdb_env_stat(index->env, &stat) ||
        mdb_env_get_fd(index->env, &fd))
        return ERR_IO;
    from = (info.me_last_pgno + 1) * stat.ms_psize;
    end = from + pages * stat.ms_psize;
    if (end <= index->reserved_end || space_is_plenty(index, fd, end - from))
        return 0;
    end += RESERVE_STEP;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(end - from)) < 0) {
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return 0; /* cannot be known here; a failed commit closes the account */
        return errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
    }
    index->reserved_end = end;
    return 0;
}

/* --- replacing and copying --- */

/* copy_file_range shares blocks where the file system can. */
static int file_copy(int from, uint64_t offset, int to, uint64_t n, struct err *err)
{
    off_t in = (off_t)offset, out = (off_t)offset;
    bool range = true;
    autofree char *bytes = NULL;

    while (n > 0) {
        size_t want = n < COPY_STEP ? (size_t)n : COPY_STEP;
        ssize_t got = range ? copy_file_range(from, &in, to, &out, want, 0) : -1;

        if (range && got < 0 &&
            (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
            range = false;
        if (!range) {
            if (!bytes)
                bytes = xmalloc(COPY_STEP);
            got = pread(from, bytes, want, in);
            if (got > 0 && pwrite(to, bytes, (size_t)got, out) != got)
                got = -1;
            in += got > 0 ? got : 0;
            out += got > 0 ? got : 0;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, "copy index");
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "copy index: file ends early");
        n -= (uint64_t)got;
    }
    return 0;
}

static int unlink_in(const char *dir, const char *name, struct err *err)
{
    autofree char *path = path_in(dir, name);

    if (unlink(path) < 0 && errno != ENOENT)
        return err_set_errno(err, "remove %s", path);
    return 0;
}

static int replace_by(const char *dir, const char *from, struct err *err)
{
    autofree char *source = path_in(dir, from), *temp = path_in(dir, "data.new"),
                  *target = path_in(dir, "data.mdb");
    autoclose int in = open(source, O_RDONLY | O_CLOEXEC);
    autoclose int out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat st;
    int rc;

    if (in < 0 || fstat(in, &st) < 0)
        return err_set_errno(err, "open %s", source);
    if (out < 0)
        return err_set_errno(err, "make %s", temp);
    rc = file_copy(in, 0, out, (uint64_t)st.st_size, err);
    if (rc == 0 && rename(temp, target) < 0)
        rc = err_set_errno(err, "rename %s", temp);
    return rc;
}

int index_replace(const char *dir, const char *from, struct err *err)
{
    int rc;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, "make %s", dir);
    /* trust first: from here on, whatever is there is not believed. */
    rc = unlink_in(dir, "trust", err);
    if (rc == 0)
        rc = unlink_in(dir, "lock.mdb", err);
    if (rc == 0)
        rc = unlink_in(dir, "data.mdb", err);
    if (rc == 0 && from)
        rc = replace_by(dir, from, err);
    if (rc == 0 && !from)
        derived_remove_all(dir);
    return rc;
}

struct index_copy {
    struct index *index;
    MDB_txn *pin; /* keeps the pages of its state from being used again */
    char *meta;   /* the two meta pages as they were then */
    uint64_t meta_size, size;
    int fd; /* data.mdb */
};

/* mdb_env_copy would do, but takes the writer's lock for a moment; the holder may be waiting for a
 * sync that waits for this worker. On the writer's own thread the meta pages stand still without a
 * lock, and whatever is written while the transaction pins its state goes to other pages. */
int index_copy_begin(struct index *index, struct index_copy **ret)
{
    struct index_copy *c = xnew(struct index_copy);
    MDB_envinfo info;
    MDB_stat stat;
    struct stat st;
    int rc;

    c->index = index;
    rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &c->pin);
    if (rc == 0)
        rc = mdb_env_info(index->env, &info);
    if (rc == 0)
        rc = mdb_env_stat(index->env, &stat);
    if (rc == 0)
        rc = mdb_env_get_fd(index->env, &c->fd);
    if (rc) {
        index_copy_free(c);
        return index_lmdb_error(index, rc);
    }
    c->meta_size = 2ULL * stat.ms_psize;
    c->size = (info.me_last_pgno + 1) * stat.ms_psize;
    c->meta = xmalloc(c->meta_size);
    if (fstat(c->fd, &st) == 0 && (uint64_t)st.st_size < c->size)
        c->size = (uint64_t)st.st_size; /* see file_extend */
    if (pread(c->fd, c->meta, c->meta_size, 0) != (ssize_t)c->meta_size) {
        index_copy_free(c);
        return ERR_IO;
    }
    *ret = c;
    return 0;
}

static void copy_unpin(struct index_copy *c)
{
    if (c->pin)
        mdb_txn_abort(c->pin);
    c->pin = NULL;
}

int index_copy_run(struct index_copy *c, const char *name, struct err *err)
{
    const char *dir = c->index->dir;
    autobuf temp_name = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&temp_name, "%s.new", name);
    autofree char *temp = path_in(dir, temp_name.p), *target = path_in(dir, name);
    autoclose int out = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = 0;

    if (out < 0)
        return err_set_errno(err, "make %s", temp);
    if (c->size > c->meta_size)
        rc = file_copy(c->fd, c->meta_size, out, c->size - c->meta_size, err);
    if (rc == 0 && pwrite(out, c->meta, c->meta_size, 0) != (ssize_t)c->meta_size)
        rc = err_set_errno(err, "write %s", temp);
    copy_unpin(c);
    if (rc == 0 && fdatasync(out) < 0)
        rc = err_set_errno(err, "sync %s", temp);
    if (rc == 0)
        rc = derived_sync(dir, err);
    if (rc == 0 && rename(temp, target) < 0)
        rc = err_set_errno(err, "rename %s", temp);
    if (rc == 0)
        rc = dir_sync(dir, err);
    if (rc)
        unlink(temp);
    return rc;
}

void index_copy_free(struct index_copy *c)
{
    if (!c)
        return;
    copy_unpin(c);
    free(c->meta);
    free(c);
}

uint64_t index_size(struct index *index)
{
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(index->env, &info) || mdb_env_stat(index->env, &stat))
        return 0;
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}
