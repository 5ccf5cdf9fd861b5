#include "index/derived.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* --- files --- */

static char *file_path(const char *dir, uint32_t number)
{
    struct buf b = BUF_INIT(BUF_UNLIMITED);

    buf_printf(&b, "%s/derived-%u", dir, number);
    return buf_take(&b);
}

struct derived_files *derived_open(const char *dir)
{
    struct derived_files *d = xnew(struct derived_files);

    d->dir = xstrndup(dir, strlen(dir));
    return d;
}

static void file_close(struct derived_files *d, size_t i)
{
    struct derived_file *f = &d->v[i];

    if (f->map)
        munmap((void *)(uintptr_t)f->map, DERIVED_FILE_MAX);
    close(f->fd);
    d->v[i] = d->v[--d->n];
}

void derived_close(struct derived_files *d)
{
    if (!d)
        return;
    while (d->n > 0)
        file_close(d, d->n - 1);
    free(d->v);
    free(d->dir);
    free(d);
}

/* NULL if it cannot be opened. */
static struct derived_file *file_find(struct derived_files *d, uint32_t number, bool create)
{
    autofree char *path = NULL;
    int fd;

    for (size_t i = 0; i < d->n; i++) {
        if (d->v[i].number == number)
            return &d->v[i];
    }
    path = file_path(d->dir, number);
    fd = open(path, (d->reader ? O_RDONLY : O_RDWR) | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
    if (fd < 0)
        return NULL;
    d->v = xrealloc_array(d->v, d->n + 1, sizeof(*d->v));
    d->v[d->n] = (struct derived_file){.number = number, .fd = fd};
    return &d->v[d->n++];
}

/* Whether octets up to `end` can be looked at without a SIGBUS. */
static bool file_map(struct derived_file *f, uint64_t end)
{
    struct stat st;
    void *map;

    if (end > DERIVED_FILE_MAX)
        return false;
    if (f->map && end <= f->size)
        return true;
    if (fstat(f->fd, &st) < 0 || (uint64_t)st.st_size < end)
        return false;
    f->size = (uint64_t)st.st_size;
    if (!f->map) {
        map = mmap(NULL, DERIVED_FILE_MAX, PROT_READ, MAP_SHARED, f->fd, 0);
        if (map == MAP_FAILED)
            return false;
        f->map = map;
    }
    return true;
}

static bool name_is_derived(const char *name)
{
    return span_starts(span_str(name), SPAN("derived-"));
}

void derived_remove_all(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        if (name_is_derived(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

int derived_sync(const char *dir, struct err *err)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    int rc = 0;

    while (d && rc == 0 && (e = readdir(d)) != NULL) {
        if (!name_is_derived(e->d_name))
            continue;
        autoclose int fd = openat(dirfd(d), e->d_name, O_RDONLY | O_CLOEXEC);

        if ((fd < 0 && errno != ENOENT) || (fd >= 0 && fdatasync(fd) < 0))
            rc = err_set_errno(err, "sync %s/%s", dir, e->d_name);
    }
    if (d)
        closedir(d);
    return rc;
}

/* --- accounts of files: octets in it, dead octets of it --- */

static int sum_get(struct index_txn *txn, uint32_t file, uint64_t *ret_end, uint64_t *ret_dead)
{
    struct span value;
    struct key key;
    int rc;

    key_derived_file(&key, file);
    rc = table_get(txn, TABLE_MAIN, &key, &value);
    *ret_end = *ret_dead = 0;
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (value.n != 16)
        return index_corrupt(txn);
    *ret_end = load_le64(value.p);
    *ret_dead = load_le64(value.p + 8);
    return 0;
}

static int sum_put(struct index_txn *txn, uint32_t file, uint64_t end, uint64_t dead)
{
    struct key key;
    unsigned char *to;
    int rc;

    key_derived_file(&key, file);
    rc = table_put_room(txn, TABLE_MAIN, &key, 16, &to);
    if (rc)
        return rc;
    store_le64(to, end);
    store_le64(to + 8, dead);
    return 0;
}

static int sum_flush(struct index_txn *txn)
{
    struct derived_sum s = txn->derived_sum;
    uint64_t end, dead;
    int rc;

    if (s.file == 0)
        return 0;
    txn->derived_sum.file = 0;
    rc = sum_get(txn, s.file, &end, &dead);
    return rc ? rc : sum_put(txn, s.file, end, dead + s.bytes);
}

static uint64_t record_size(uint32_t length)
{
    return (DERIVED_HEAD + (uint64_t)length + 7) & ~7ULL;
}

int derived_dead(struct index_txn *txn, uint32_t file, uint32_t length)
{
    int rc = 0;

    if (txn->derived_sum.file != file)
        rc = sum_flush(txn);
    if (rc)
        return rc;
    if (txn->derived_sum.file == 0)
        txn->derived_sum = (struct derived_sum){.file = file};
    txn->derived_sum.bytes += record_size(length);
    return 0;
}

/* Whether the state that was opened knows of a file. */
static bool file_is_known(struct index_txn *txn, uint64_t number)
{
    struct span value;
    struct key key;

    if (number > DERIVED_RECORD_MAX || state_load(txn))
        return false;
    key_derived_file(&key, (uint32_t)number);
    return number == txn->own.derived_file || table_get(txn, TABLE_MAIN, &key, &value) == 0;
}

int derived_sweep(struct index *index)
{
    struct index_txn *txn;
    DIR *d = opendir(index->dir);
    struct dirent *e;
    uint64_t number;
    int rc = index_read_begin(index, &txn);

    while (d && rc == 0 && (e = readdir(d)) != NULL) {
        if (name_is_derived(e->d_name) &&
            !(span_to_u64(span_skip(span_str(e->d_name), 8), UINT32_MAX, &number) &&
              file_is_known(txn, number)))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
    if (rc == 0) {
        rc = index_failed(index);
        index_read_end(txn);
    }
    return rc;
}

/* --- reading --- */

static int pending_write(struct index_txn *txn)
{
    struct buf *b = &txn->derived_pending;
    struct derived_file *f;
    ssize_t n;

    if (b->n == 0)
        return 0;
    f = file_find(txn->index->derived, txn->own.derived_file, true);
    if (!f)
        return ERR_IO;
    n = pwrite(f->fd, b->p, b->n, (off_t)txn->derived_pending_at);
    if (n != (ssize_t)b->n)
        return n < 0 && errno != ENOSPC && errno != EDQUOT ? ERR_IO : ERR_NO_SPACE;
    txn->derived_pending_at += b->n;
    buf_reset(b);
    return 0;
}

/* The record at a place, if it is the message's. */
static int record_at(struct derived_files *d, uint64_t id, const struct derived_place *place,
                     struct span *ret)
{
    struct derived_file *f;
    const char *p;

    if (place->length == 0 || place->offset < DERIVED_HEAD)
        return ERR_NOT_FOUND;
    f = file_find(d, place->file, false);
    if (!f || !file_map(f, (uint64_t)place->offset + place->length))
        return ERR_NOT_FOUND;
    p = f->map + place->offset - DERIVED_HEAD;
    if (load_le64(p) != id || load_le32(p + 8) != place->length)
        return ERR_NOT_FOUND;
    *ret = span_make(f->map + place->offset, place->length);
    return 0;
}

int index_derived_get(struct index_txn *txn, uint64_t message_id, struct span *ret)
{
    struct derived_place place;
    int rc = message_derived_get(txn, message_id, &place);

    if (rc == 0 && txn->writes)
        rc = pending_write(txn);
    return rc ? rc : record_at(txn->index->derived, message_id, &place, ret);
}

/* --- writing --- */

/* Begins the next file: the one that grows is full, or mostly dead. */
static int file_roll(struct index_txn *txn)
{
    struct derived_files *d = txn->index->derived;
    uint32_t number = txn->own.derived_file;
    uint64_t end, dead;
    int rc = pending_write(txn);

    if (rc == 0)
        rc = sum_flush(txn);
    if (rc == 0 && number > 0)
        rc = sum_get(txn, number, &end, &dead);
    if (rc == 0 && number > 0)
        rc = sum_put(txn, number, txn->own.derived_end, dead);
    if (rc)
        return rc;
    if (number >= DERIVED_RECORD_MAX) /* the entry has 24 bits for it */
        return ERR_LIMIT;
    txn->own.derived_file = number + 1;
    txn->own.derived_end = txn->derived_pending_at = 0;
    txn->state_dirty = true;
    return file_find(d, number + 1, true) ? 0 : ERR_IO;
}

static int room_for(struct index_txn *txn, uint64_t size)
{
    uint64_t end, dead;
    int rc = state_load(txn);

    if (rc)
        return rc;
    if (txn->derived_pending.n == 0)
        txn->derived_pending_at = txn->own.derived_end;
    if (txn->own.derived_file == 0 || txn->own.derived_end + size > DERIVED_FILE_MAX)
        return file_roll(txn);
    if (txn->own.derived_end < DERIVED_ROLL_MIN || txn->index->derived->puts % 64 != 0)
        return 0;
    rc = sum_get(txn, txn->own.derived_file, &end, &dead);
    return rc == 0 && dead > txn->own.derived_end / 2 ? file_roll(txn) : rc;
}

static int record_append(struct index_txn *txn, uint64_t id, struct span record)
{
    struct derived_place place;
    struct buf *b = &txn->derived_pending;
    static const char zeros[8];
    uint64_t size = record_size((uint32_t)record.n);
    int rc = room_for(txn, size);

    if (rc)
        return rc;
    put_u64(b, id);
    put_u32(b, (uint32_t)record.n);
    put_u32(b, 0);
    buf_put_span(b, record);
    buf_put(b, zeros, size - DERIVED_HEAD - record.n);
    place = (struct derived_place){
        .file = txn->own.derived_file,
        .offset = (uint32_t)txn->own.derived_end + DERIVED_HEAD,
        .length = (uint32_t)record.n,
    };
    txn->own.derived_end += size;
    txn->state_dirty = true;
    rc = message_derived_set(txn, id, &place);
    return rc == 0 && b->n > DERIVED_PENDING_MAX ? pending_write(txn) : rc;
}

static int moving_find(struct index_txn *txn)
{
    struct derived_files *d = txn->index->derived;
    struct span k, value;
    struct key key;
    int rc;

    key_derived_file(&key, 0);
    rc = table_seek(txn, TABLE_MAIN, &key, &k, &value);
    for (; rc == 0; rc = table_next(txn, TABLE_MAIN, &k, &value)) {
        if (k.n != 5 || (unsigned char)k.p[0] != MAIN_DERIVED)
            return 0;
        if (value.n == 16 && load_be32(k.p + 1) != txn->own.derived_file &&
            load_be32(k.p + 1) != d->moved && load_le64(value.p + 8) > load_le64(value.p) / 2) {
            d->moving = load_be32(k.p + 1);
            d->moving_at = 0;
            return 0;
        }
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int moving_finish(struct index_txn *txn)
{
    struct derived_files *d = txn->index->derived;
    struct key key;
    int rc;

    /* The sum waiting in the transaction would make the record anew. */
    if (txn->derived_sum.file == d->moving)
        txn->derived_sum.file = 0;
    key_derived_file(&key, d->moving);
    rc = table_del(txn, TABLE_MAIN, &key);
    d->moved = d->moving;
    d->moving = 0;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* One record of the file being emptied; *ret_n: octets gone past, 0 at the end. */
static int moving_record(struct index_txn *txn, uint64_t *ret_n)
{
    struct derived_files *d = txn->index->derived;
    struct derived_file *f = file_find(d, d->moving, false);
    struct derived_place place;
    uint64_t end, dead, id;
    uint32_t length;
    int rc = sum_get(txn, d->moving, &end, &dead);

    *ret_n = 0;
    if (rc || !f || d->moving_at + DERIVED_HEAD > end || !file_map(f, end))
        return rc;
    id = load_le64(f->map + d->moving_at);
    length = load_le32(f->map + d->moving_at + 8);
    if (length > DERIVED_RECORD_MAX || d->moving_at + record_size(length) > end)
        return 0; /* not readable: what lives in it will be made again */
    rc = message_derived_get(txn, id, &place);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    *ret_n = record_size(length);
    if (rc == 0 && place.file == d->moving && place.offset == d->moving_at + DERIVED_HEAD)
        return record_append(txn, id, span_make(f->map + place.offset, length));
    return 0;
}

/* Moves a little, so that each write pays for the space of a few others. */
static int moving_step(struct index_txn *txn)
{
    struct derived_files *d = txn->index->derived;
    uint64_t n;
    int rc = 0;

    if (d->moving == 0 && d->moved == 0 && d->puts++ % 64 == 0)
        rc = moving_find(txn);
    for (unsigned i = 0; rc == 0 && d->moving != 0 && i < 8; i++) {
        rc = moving_record(txn, &n);
        d->moving_at += n;
        if (rc == 0 && n == 0)
            rc = moving_finish(txn);
    }
    return rc;
}

int index_derived_put(struct index_txn *txn, uint64_t message_id, struct span record)
{
    struct derived_place old;
    int rc = message_derived_get(txn, message_id, &old);

    if (rc || record.n == 0 || record.n > DERIVED_RECORD_MAX)
        return rc;
    if (old.length > 0)
        rc = derived_dead(txn, old.file, old.length);
    if (rc == 0)
        rc = record_append(txn, message_id, record);
    return rc ? rc : moving_step(txn);
}

int derived_flush(struct index_txn *txn)
{
    int rc = sum_flush(txn);

    return rc ? rc : pending_write(txn);
}

void derived_committed(struct index *index)
{
    struct derived_files *d = index->derived;
    autofree char *path = NULL;

    if (!d || d->moved == 0)
        return;
    path = file_path(d->dir, d->moved);
    unlink(path);
    /* A snapshot that is open may be looking at it: then it is unmapped when the index is closed.
     */
    for (size_t i = 0; index->reader_count == 0 && i < d->n; i++) {
        if (d->v[i].number == d->moved) {
            file_close(d, i);
            break;
        }
    }
    d->moved = 0;
}

void derived_aborted(struct index *index)
{
    if (index->derived)
        index->derived->moving = index->derived->moved = 0;
}
