/* The accounts of a process. */
#include "store/remote_int.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "message/mime.h"

enum { OPEN_MAX_DEFAULT = 256 };
#define RESERVE_DEFAULT   (64ULL << 20)
#define CLOSE_PATIENCE_US 1000000

void store_account_path(const struct store *store, const struct account_id *id, const char *below,
                        struct buf *to)
{
    buf_put_str(to, store->dir);
    buf_put_str(to, "/accounts/");
    buf_put_hex(to, id->b, 1);
    buf_put_byte(to, '/');
    buf_put_hex(to, id->b, ACCOUNT_ID_LEN);
    buf_put_str(to, below);
}

/* Index directories are on the real file system whatever engine the log has. */
static int make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return err_set_errno(err, "make directory %s", path);
}

int store_new(const struct store_options *options, const struct store_host *host,
              struct store **ret, struct err *err)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&path, "%s/accounts", options->dir);
    int error = make_dir(options->dir, err);
    if (error == 0)
        error = make_dir(path.p, err);
    if (error)
        return error;
    struct store *store = xnew(struct store);
    store->options = *options;
    store->dir = xstrndup(options->dir, strlen(options->dir));
    store->fs = options->fs ? options->fs : &log_fs_file;
    store->host = *host;
    store->open_max = options->open_max ? options->open_max : OPEN_MAX_DEFAULT;
    store->reserve = RESERVE_DEFAULT;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        store->quota.limit[i] = QUOTA_NONE;
    store->accounts = (struct map)MAP_INIT;
    list_init(&store->awake);
    list_init(&store->jobs);
    list_init(&store->remotes);
    *ret = store;
    return 0;
}

void store_set_options(struct store *store, size_t open_max, const struct default_mailbox *defaults,
                       size_t default_count)
{
    store->open_max = open_max ? open_max : OPEN_MAX_DEFAULT;
    store->options.defaults = defaults;
    store->options.default_count = default_count;
}

static void flush_recents(struct store *store)
{
    struct account *a;
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&store->accounts, &pos, &key, &value)) {
        a = value;
        if (a->recents.n && a->state == ACCOUNT_AWAKE && !a->failed && !a->remote) {
            a->flush = true;
            writer_kick(a);
        }
    }
}

void store_free(struct store *store)
{
    if (!store)
        return;
    uint64_t deadline = clock_monotonic_us() + CLOSE_PATIENCE_US;
    flush_recents(store);
    store->closing = true;
    remotes_end(store);
    store_jobs_finish(store);
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&store->accounts, &pos, &key, &value)) {
        bool clean = !store->options.no_checkpoint_on_close && clock_monotonic_us() < deadline;
        account_close_now(value, clean);
    }
    site_close(store);
    mime_parser_free(store->spare_parser);
    map_done(&store->accounts);
    free(store->dir);
    free(store);
}
