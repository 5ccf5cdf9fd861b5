#include "base/metrics.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/metrics_table.h"

static _Atomic uint64_t own_page[METRIC_SLOTS];
_Atomic uint64_t *metrics_page = own_page;

static const char *const none_names[] = {"", NULL};
static const char *const state_names[] = {"greeting", "login", "authenticated", "selected", "idle",
                                          "lmtp",     NULL};
static const char *const tls_names[] = {"none", "TLSv1.2", "TLSv1.3", NULL};
static const char *const listener_names[] = {"imap", "imaps", "lmtp", NULL};
static const char *const mechanism_names[] = {"PLAIN",         "LOGIN",
                                              "SCRAM-SHA-1",   "SCRAM-SHA-1-PLUS",
                                              "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS",
                                              "OAUTHBEARER",   "XOAUTH2",
                                              "EXTERNAL",      "ANONYMOUS",
                                              "other",         NULL};
static const char *const login_names[] = {"ok",          "credentials", "mechanism",     "syntax",
                                          "unavailable", "expired",     "authorization", "privacy",
                                          NULL};
static const char *const handshake_names[] = {"full", "resumed", "failed", NULL};
static const char *const answer_names[] = {"ok", "no", "bad", NULL};
static const char *const delivery_names[] = {
    "stored", "duplicate", "unknown_user", "over_quota", "later", "refused", NULL};
static const char *const cache_names[] = {"hit", "miss", NULL};
static const char *const role_names[] = {"supervisor", "login", "auth", "mail", "metrics", NULL};
static const char *const level_names[] = {"error", "warning", "info", "debug", NULL};
/* In the order of enum command_id; tests/unit/wire compares. */
static const char *const command_names[] = {
    "unknown",    "CAPABILITY",     "NOOP",       "LOGOUT",       "ID",          "LANGUAGE",
    "STARTTLS",   "AUTHENTICATE",   "LOGIN",      "ENABLE",       "SELECT",      "EXAMINE",
    "CREATE",     "DELETE",         "RENAME",     "SUBSCRIBE",    "UNSUBSCRIBE", "LIST",
    "LSUB",       "NAMESPACE",      "STATUS",     "APPEND",       "GETQUOTA",    "GETQUOTAROOT",
    "SETQUOTA",   "GENURLAUTH",     "URLFETCH",   "RESETKEY",     "GETMETADATA", "SETMETADATA",
    "GETACL",     "MYRIGHTS",       "LISTRIGHTS", "SETACL",       "DELETEACL",   "IDLE",
    "COMPRESS",   "UNAUTHENTICATE", "CHECK",      "CLOSE",        "UNSELECT",    "UIDBATCHES",
    "EXPUNGE",    "SEARCH",         "SORT",       "FETCH",        "STORE",       "COPY",
    "MOVE",       "REPLACE",        "NOTIFY",     "CANCELUPDATE", "THREAD",      "ESEARCH",
    "COMPARATOR", "CONVERSIONS",    "CONVERT",    NULL,
};

#define LABEL_NONE      "", none_names
#define LABEL_PROCESS   "process", none_names
#define LABEL_STATE     "state", state_names
#define LABEL_TLS       "tls", tls_names
#define LABEL_LISTENER  "listener", listener_names
#define LABEL_MECHANISM "mechanism", mechanism_names
#define LABEL_LOGIN     "result", login_names
#define LABEL_HANDSHAKE "result", handshake_names
#define LABEL_ANSWER    "result", answer_names
#define LABEL_DELIVERY  "result", delivery_names
#define LABEL_CACHE     "result", cache_names
#define LABEL_ROLE      "process", role_names
#define LABEL_LEVEL     "level", level_names
#define LABEL_COMMAND   "command", command_names

const struct metric_row metric_rows[] = {
#define X(id, kind, unit, a, b, name, help)                                                        \
    {id,                                                                                           \
     METRIC_KIND_##kind,                                                                           \
     METRIC_UNIT_##unit,                                                                           \
     METRIC_SHIFT_##unit,                                                                          \
     METRIC_WIDTH_##kind,                                                                          \
     {{LABEL_##a, METRIC_N_##a}, {LABEL_##b, METRIC_N_##b}},                                       \
     "martlet_" name,                                                                              \
     help},
    METRICS(X)
#undef X
};
const unsigned metric_row_count = ARRAY_LEN(metric_rows);

#define SAME_LENGTH(names, n) _Static_assert(ARRAY_LEN(names) - 1 == (n), #names)
SAME_LENGTH(state_names, METRIC_N_STATE);
SAME_LENGTH(tls_names, METRIC_N_TLS);
SAME_LENGTH(listener_names, METRIC_N_LISTENER);
SAME_LENGTH(mechanism_names, METRIC_N_MECHANISM);
SAME_LENGTH(login_names, METRIC_N_LOGIN);
SAME_LENGTH(handshake_names, METRIC_N_HANDSHAKE);
SAME_LENGTH(answer_names, METRIC_N_ANSWER);
SAME_LENGTH(delivery_names, METRIC_N_DELIVERY);
SAME_LENGTH(cache_names, METRIC_N_CACHE);
SAME_LENGTH(role_names, METRIC_N_ROLE);
SAME_LENGTH(level_names, METRIC_N_LEVEL);
_Static_assert(ARRAY_LEN(command_names) - 1 <= METRIC_N_COMMAND, "room for commands");

enum metric_mechanism metric_mechanism(struct span name)
{
    for (unsigned i = 0; i < METRIC_MECHANISM_OTHER; i++)
        if (span_ieq(name, span_str(mechanism_names[i])))
            return (enum metric_mechanism)i;
    return METRIC_MECHANISM_OTHER;
}

enum metric_tls metric_tls(struct span version)
{
    for (unsigned i = METRIC_TLS_1_2; i < METRIC_N_TLS; i++)
        if (span_eq(version, span_str(tls_names[i])))
            return (enum metric_tls)i;
    return METRIC_TLS_NONE;
}

const char *metric_command_name(unsigned value)
{
    return value < ARRAY_LEN(command_names) ? command_names[value] : NULL;
}

/* Pages. */

/* Differs when the table does: a program of another version (an update under a running supervisor)
 * would count into the wrong slots. */
static uint64_t layout(void)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (unsigned i = 0; i < metric_row_count; i++) {
        for (const char *p = metric_rows[i].name; *p; p++)
            h = (h ^ (unsigned char)*p) * 0x100000001b3u;
        h = (h ^ metric_rows[i].first) * 0x100000001b3u;
    }
    return h;
}

static const size_t page_size = METRIC_SLOTS * sizeof(uint64_t);

int metrics_page_new(struct err *err)
{
    int fd = memfd_create("martlet-metrics", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set_errno(err, "memfd_create");
    uint64_t first = layout();
    if (ftruncate(fd, (off_t)page_size) < 0 ||
        pwrite(fd, &first, sizeof(first), METRIC_LAYOUT * sizeof(first)) != sizeof(first) ||
        /* The process that gets it cannot make others fault by cutting it short. */
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        err_set_errno(err, "memfd");
        close(fd);
        return err ? err->code : ERR_IO;
    }
    return fd;
}

_Atomic uint64_t *metrics_page_map(int fd, bool writable)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (fstat(fd, &st) < 0 || (size_t)st.st_size < page_size || seals < 0 ||
        !(seals & F_SEAL_SHRINK))
        return NULL;
    void *p = mmap(NULL, page_size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return NULL;
    _Atomic uint64_t *page = p;
    if (atomic_load_explicit(&page[METRIC_LAYOUT], memory_order_relaxed) != layout()) {
        metrics_page_unmap(page);
        return NULL;
    }
    return page;
}

void metrics_page_unmap(_Atomic uint64_t *page)
{
    if (page)
        munmap(page, page_size);
}

int metrics_map(int fd, struct err *err)
{
    _Atomic uint64_t *page = metrics_page_map(fd, true);
    if (!page)
        return err_set(err, ERR_VERSION, "not a page for metrics of this version");
    for (unsigned i = METRIC_LAYOUT + 1; i < METRIC_SLOTS; i++) {
        uint64_t n = atomic_load_explicit(&metrics_page[i], memory_order_relaxed);
        if (n && metrics_page == own_page)
            atomic_fetch_add_explicit(&page[i], n, memory_order_relaxed);
    }
    if (metrics_page != own_page)
        metrics_page_unmap(metrics_page);
    metrics_page = page;
    return 0;
}

void metrics_page_reset_gauges(_Atomic uint64_t *page)
{
    for (unsigned i = 0; i < metric_row_count; i++) {
        const struct metric_row *r = &metric_rows[i];
        if (r->kind != METRIC_KIND_GAUGE)
            continue;
        for (unsigned k = 0; k < r->labels[0].count * r->labels[1].count; k++)
            atomic_store_explicit(&page[r->first + k], 0, memory_order_relaxed);
    }
}
