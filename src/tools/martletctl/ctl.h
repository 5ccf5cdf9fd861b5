/* tools/martletctl/ctl.h: what the files of martletctl share.
 *
 * A `struct access` is the accounts, however they are reached: through the control sockets of
 * a running server (remote.c), or in the directory itself while none runs (local.c). One request at
 * a time; what it reports goes to a `struct report` (output.c). */
#ifndef TOOLS_CTL_H
#define TOOLS_CTL_H

#include "base/buf.h"
#include "base/err.h"

/* Exit codes, a contract: man/martletctl.1. */
enum {
    EXIT_FINE = 0,
    EXIT_DAMAGE = 1, /* a check found damage */
    EXIT_USAGE = 2,
    EXIT_FAILED = 3,      /* some account could not be worked on */
    EXIT_UNREACHABLE = 4, /* no directory, or in use without answering */
};

struct options {
    const char *state_dir, *verb, *dir; /* dir: of backups, absolute */
    bool all, json, erase, quiet;
    const char *const *accounts;
    size_t account_count;
};

struct found {
    const char *kind; /* info, repaired, damage */
    uint64_t mailbox, uid, segment, offset;
    struct span text;
};

struct report {
    const struct options *options;
    bool terminal; /* a progress bar makes sense */
    size_t width;  /* of the longest account name */
    /* The account at work. */
    const char *account;
    uint64_t begun_us;
    size_t findings, damages;
    struct buf json; /* findings so far */
    bool bar;
    /* All of them. */
    size_t done, failed, damaged;
};

void report_init(struct report *r, const struct options *o, size_t width);
void report_begin(struct report *r, const char *account);
void report_found(struct report *r, const struct found *f);
void report_progress(struct report *r, uint64_t done, uint64_t total);
void report_end(struct report *r, int error, struct span text);
int report_finish(struct report *r); /* the exit code */
void json_string(struct buf *b, struct span s);

struct access {
    void *ctx;
    /* each(arg, name, id in hexadecimal). */
    int (*accounts)(void *ctx, void (*each)(void *arg, struct span name, struct span id), void *arg,
                    struct err *err);
    /* Does options->verb for one account and reports it, the end included. */
    void (*run)(void *ctx, const char *account, const char *dir, struct report *r);
    int (*status)(void *ctx, void (*each)(void *arg, struct span key, struct span value), void *arg,
                  struct err *err);
    void (*close)(void *ctx);
};

/* 0; ERR_NOT_FOUND: no server runs; ... */
int remote_open(const struct options *o, struct access *ret, struct err *err) must_check;
int local_open(const struct options *o, struct access *ret, struct err *err) must_check;

#endif
