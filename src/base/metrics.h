/* base/metrics.h: counting what the processes do.
 *
 *     metric_add(METRIC_APPENDS, 1);
 *     metric_add(METRIC_PAIR(METRIC_LOGINS, LOGIN, mechanism, result), 1);
 *     metric_observe(METRIC_LOG_SYNC, 0, microseconds);
 *
 * One table (METRICS below) names every metric: kind, unit, labels, name, help. A metric is a run
 * of slots, one a combination of its labels' values; its enum value is the first of them. A
 * process's slots are a page of relaxed atomics that the supervisor made (a memfd) and maps too; it
 * goes on with the successor of a process that ended, so that counters never go back.
 * martlet-metrics maps all pages read-only and writes them as OpenMetrics text.
 *
 * Ownership: static, for the life of the process. Threads: any; metrics_map before others start.
 * Failure: none: a process without a page counts into a static one that nobody reads. Cost: one
 * uncontended atomic addition, and for a histogram two. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdatomic.h>

#include "base/err.h"
#include "base/span.h"

/* Labels and their values. Each enum's order is the order of its names in metrics.c. */
enum metric_state {
    METRIC_STATE_GREETING, /* connected, TLS not done or nothing said yet */
    METRIC_STATE_LOGIN,    /* a login is being checked */
    METRIC_STATE_AUTHENTICATED,
    METRIC_STATE_SELECTED,
    METRIC_STATE_IDLE, /* in IDLE */
    METRIC_STATE_LMTP,
    METRIC_N_STATE
};
enum metric_tls { METRIC_TLS_NONE, METRIC_TLS_1_2, METRIC_TLS_1_3, METRIC_N_TLS };
enum metric_listener {
    METRIC_LISTENER_IMAP,
    METRIC_LISTENER_IMAPS,
    METRIC_LISTENER_LMTP,
    METRIC_N_LISTENER
};
enum metric_mechanism {
    METRIC_MECHANISM_PLAIN, /* LOGIN, the command, too */
    METRIC_MECHANISM_LOGIN,
    METRIC_MECHANISM_SCRAM_SHA_1,
    METRIC_MECHANISM_SCRAM_SHA_1_PLUS,
    METRIC_MECHANISM_SCRAM_SHA_256,
    METRIC_MECHANISM_SCRAM_SHA_256_PLUS,
    METRIC_MECHANISM_OAUTHBEARER,
    METRIC_MECHANISM_XOAUTH2,
    METRIC_MECHANISM_EXTERNAL,
    METRIC_MECHANISM_ANONYMOUS,
    METRIC_MECHANISM_OTHER,
    METRIC_N_MECHANISM
};
enum metric_login { /* 0: success; else enum auth_failure (ipc/messages.h) */
                    METRIC_LOGIN_OK,
                    METRIC_LOGIN_CREDENTIALS,
                    METRIC_LOGIN_MECHANISM,
                    METRIC_LOGIN_SYNTAX,
                    METRIC_LOGIN_UNAVAILABLE,
                    METRIC_LOGIN_EXPIRED,
                    METRIC_LOGIN_AUTHORIZATION,
                    METRIC_LOGIN_PRIVACY,
                    METRIC_N_LOGIN
};
enum metric_handshake {
    METRIC_HANDSHAKE_FULL,
    METRIC_HANDSHAKE_RESUMED,
    METRIC_HANDSHAKE_FAILED,
    METRIC_N_HANDSHAKE
};
enum metric_answer { METRIC_ANSWER_OK, METRIC_ANSWER_NO, METRIC_ANSWER_BAD, METRIC_N_ANSWER };
enum metric_delivery {
    METRIC_DELIVERY_STORED,
    METRIC_DELIVERY_DUPLICATE, /* stored before: the MTA asked again */
    METRIC_DELIVERY_UNKNOWN_USER,
    METRIC_DELIVERY_OVER_QUOTA,
    METRIC_DELIVERY_LATER, /* 4xx: the MTA tries again */
    METRIC_DELIVERY_REFUSED,
    METRIC_N_DELIVERY
};
enum metric_cache { METRIC_CACHE_HIT, METRIC_CACHE_MISS, METRIC_N_CACHE };
enum metric_role { /* as enum role (ipc/messages.h), as far as they run */
                   METRIC_ROLE_SUPERVISOR,
                   METRIC_ROLE_LOGIN,
                   METRIC_ROLE_AUTH,
                   METRIC_ROLE_MAIL,
                   METRIC_ROLE_METRICS,
                   METRIC_N_ROLE
};
enum metric_level { METRIC_N_LEVEL = 4 }; /* as enum log_level */
/* As enum command_id (wire/command.h) (0: what could not be parsed), with room for more. */
enum metric_command { METRIC_N_COMMAND = 64 };
enum { METRIC_N_NONE = 1 };

/* X(id, kind, unit, label, label, name, help)
 * kind: COUNTER, GAUGE, or HISTOGRAM. unit: NONE, SECONDS, BYTES; SECONDS are counted in
 * microseconds. PROCESS as label: not summed over the processes. */
#define METRICS(X)                                                                                 \
    X(METRIC_CONNECTIONS, GAUGE, NONE, STATE, TLS, "connections", "Connections by state.")         \
    X(METRIC_ACCEPTED, COUNTER, NONE, LISTENER, NONE, "connections_accepted",                      \
      "Connections accepted.")                                                                     \
    X(METRIC_PROXY_REFUSED, COUNTER, NONE, NONE, NONE, "proxy_refused",                            \
      "Connections closed because of a bad PROXY header.")                                         \
    X(METRIC_HANDSHAKES, COUNTER, NONE, TLS, HANDSHAKE, "tls_handshakes", "TLS handshakes.")       \
    X(METRIC_LOGINS, COUNTER, NONE, MECHANISM, LOGIN, "logins",                                    \
      "Attempts to log in by mechanism and result.")                                               \
    X(METRIC_LOGIN_TIME, HISTOGRAM, SECONDS, NONE, NONE, "login_duration_seconds",                 \
      "From the start of an attempt to log in to its success, the client's part included.")        \
    X(METRIC_THROTTLED, COUNTER, NONE, NONE, NONE, "logins_throttled",                             \
      "Attempts to log in that were made to wait because of earlier failures.")                    \
    X(METRIC_COMMAND_TIME, HISTOGRAM, SECONDS, COMMAND, NONE, "command_duration_seconds",          \
      "From the end of a command to its tagged response, waiting for earlier commands included.")  \
    X(METRIC_ANSWERS, COUNTER, NONE, ANSWER, NONE, "command_answers",                              \
      "Tagged responses to commands of sessions.")                                                 \
    X(METRIC_RECEIVED, COUNTER, BYTES, NONE, NONE, "received_bytes",                               \
      "Bytes from clients (IMAP and LMTP, after decryption).")                                     \
    X(METRIC_SENT, COUNTER, BYTES, NONE, NONE, "sent_bytes",                                       \
      "Bytes to clients (IMAP and LMTP, before encryption).")                                      \
    X(METRIC_APPENDS, COUNTER, NONE, NONE, NONE, "appended_messages",                              \
      "Messages stored by APPEND.")                                                                \
    X(METRIC_DELIVERIES, COUNTER, NONE, DELIVERY, NONE, "deliveries",                              \
      "Deliveries (LMTP) by result, one a recipient.")                                             \
    X(METRIC_LOG_SYNC, HISTOGRAM, SECONDS, NONE, NONE, "log_sync_duration_seconds",                \
      "Time of one fdatasync of an account's log.")                                                \
    X(METRIC_BATCH, HISTOGRAM, NONE, NONE, NONE, "commit_batch_requests",                          \
      "Requests that shared one commit.")                                                          \
    X(METRIC_ACCOUNTS_OPEN, GAUGE, NONE, NONE, NONE, "accounts_open",                              \
      "Accounts whose files are "                                                                  \
      "open.")                                                                                     \
    X(METRIC_LOG_BYTES, GAUGE, BYTES, NONE, NONE, "log_bytes", "Logs of the open accounts.")       \
    X(METRIC_INDEX_BYTES, GAUGE, BYTES, NONE, NONE, "index_bytes",                                 \
      "Indexes of the open accounts.")                                                             \
    X(METRIC_ACCOUNT_OPENS, COUNTER, NONE, CACHE, NONE, "account_opens",                           \
      "Accounts asked for: open already (hit), or opened (miss).")                                 \
    X(METRIC_DERIVED, COUNTER, NONE, CACHE, NONE, "derived_records",                               \
      "Records of messages read: kept (hit), or computed anew from the message (miss).")           \
    X(METRIC_DAMAGED, COUNTER, NONE, NONE, NONE, "damaged_frames",                                 \
      "Frames of logs whose checksum was found wrong.")                                            \
    X(METRIC_IPC_VIOLATIONS, COUNTER, NONE, NONE, NONE, "ipc_violations",                          \
      "Messages between processes that were malformed or not allowed.")                            \
    X(METRIC_SANDBOX_VIOLATIONS, COUNTER, NONE, ROLE, NONE, "sandbox_violations",                  \
      "Forbidden system calls that processes tried, or that they were ended for.")                 \
    X(METRIC_RESTARTS, COUNTER, NONE, ROLE, NONE, "process_restarts",                              \
      "Processes started anew after they ended unexpectedly.")                                     \
    X(METRIC_QUARANTINED, GAUGE, NONE, NONE, NONE, "accounts_quarantined",                         \
      "Accounts not served because they ended their process repeatedly.")                          \
    X(METRIC_LOG_LINES, COUNTER, NONE, LEVEL, NONE, "log_lines", "Lines logged.")                  \
    X(METRIC_CPU, COUNTER, SECONDS, PROCESS, NONE, "process_cpu_seconds", "Processor time used.")  \
    X(METRIC_MEMORY, GAUGE, BYTES, PROCESS, NONE, "process_resident_memory_bytes",                 \
      "Resident memory.")                                                                          \
    X(METRIC_STARTED, GAUGE, SECONDS, PROCESS, NONE, "process_start_time_seconds",                 \
      "When the process was started (UNIX time).")

/* A histogram's slots: a count for each bucket, the last without bound, and the sum. A bucket's
 * bound is 4 times that of the one before. */
enum {
    METRIC_BOUNDS = 12,
    METRIC_BUCKETS = METRIC_BOUNDS + 1,
    METRIC_SUM = METRIC_BUCKETS,
    METRIC_WIDTH_COUNTER = 1,
    METRIC_WIDTH_GAUGE = 1,
    METRIC_WIDTH_HISTOGRAM = METRIC_BUCKETS + 1,
    /* log2 of the first bound: 16 us, 1, 256 bytes */
    METRIC_SHIFT_SECONDS = 4,
    METRIC_SHIFT_NONE = 0,
    METRIC_SHIFT_BYTES = 8,
    METRIC_N_PROCESS = 1,
};

enum metric {
    METRIC_LAYOUT, /* of the page; see metrics_map */
#define X(id, kind, unit, a, b, name, help)                                                        \
    id, id##_LAST_ = id + METRIC_N_##a * METRIC_N_##b * METRIC_WIDTH_##kind - 1,
    METRICS(X)
#undef X
        METRIC_SLOTS
};

enum metric_shift {
#define X(id, kind, unit, a, b, name, help) id##_SHIFT_ = METRIC_SHIFT_##unit,
    METRICS(X)
#undef X
};

/* The slot of a pair of labels: METRIC_PAIR(METRIC_CONNECTIONS, TLS, state, tls). */
#define METRIC_PAIR(metric, b, value_a, value_b)                                                   \
    ((unsigned)(metric) + (unsigned)(value_a)*METRIC_N_##b + (unsigned)(value_b))

extern _Atomic uint64_t *metrics_page; /* of METRIC_SLOTS; private */

/* slot: a metric's enum value plus the label's (METRIC_PAIR for two). Gauges go down by -1. */
static inline void metric_add(unsigned slot, uint64_t n)
{
    atomic_fetch_add_explicit(&metrics_page[slot], n, memory_order_relaxed);
}

static inline void metric_set(unsigned slot, uint64_t n)
{
    atomic_store_explicit(&metrics_page[slot], n, memory_order_relaxed);
}

static inline uint64_t metric_get(unsigned slot)
{
    return atomic_load_explicit(&metrics_page[slot], memory_order_relaxed);
}

/* Which bucket a value is in; shift is log2 of the first bound. */
static inline unsigned metric_bucket(unsigned shift, uint64_t value)
{
    uint64_t x = value ? (value - 1) >> shift : 0;
    unsigned i = x ? (65u - (unsigned)__builtin_clzll(x)) / 2 : 0;
    return MIN(i, (unsigned)METRIC_BOUNDS);
}

/* One value for a histogram: microseconds, bytes or a number, as its unit says; label: the label's
 * value, or 0. */
#define metric_observe(metric, label, value) metric_observe_(metric, metric##_SHIFT_, label, value)
static inline void metric_observe_(unsigned metric, unsigned shift, unsigned label, uint64_t value)
{
    unsigned slot = metric + label * METRIC_WIDTH_HISTOGRAM;
    metric_add(slot + metric_bucket(shift, value), 1);
    metric_add(slot + METRIC_SUM, value);
}

/* "SCRAM-SHA-256" -> its value; METRIC_MECHANISM_OTHER if it is none. */
enum metric_mechanism metric_mechanism(struct span name);
/* "TLSv1.3" -> its value; METRIC_TLS_NONE if empty or unknown. */
enum metric_tls metric_tls(struct span version);
/* The value of a command label for an enum command_id; name: for the tests of the table. */
#define METRIC_COMMAND(id) ((unsigned)(id) < METRIC_N_COMMAND ? (unsigned)(id) : 0u)
const char *metric_command_name(unsigned value); /* NULL: not one */

/* Pages. */

/* A new page, all 0, as a memfd that cannot change its size. Less than 0: failure. */
int metrics_page_new(struct err *err) must_check;
/* From now on this process counts there (what it has counted so far goes along). The descriptor may
 * be closed then. ERR_VERSION: made by a program with another table. */
int metrics_map(int fd, struct err *err) must_check;
/* Another process's page, to read or (supervisor) to write; NULL if it is none. */
_Atomic uint64_t *metrics_page_map(int fd, bool writable);
void metrics_page_unmap(_Atomic uint64_t *page);
/* A process has ended: what it had at the moment is no more. Counters stay. */
void metrics_page_reset_gauges(_Atomic uint64_t *page);

#endif
