/* tools/martletctl/access.h: reaching a running server, or the accounts however they are reached.
 *
 * A `struct server` is the control sockets of a running server (what they answer says
 * src/daemon/mail/control.h). A `struct access` is the accounts: through a server, or in the
 * directory itself while none runs (access_local.c). One request at a time. */
#ifndef TOOLS_ACCESS_H
#define TOOLS_ACCESS_H

#include "tools/martletctl/ctl.h"

/* --- a running server --- */

struct server;

/* 0; ERR_NOT_FOUND: no server runs; ... Reads the configuration for state_dir. */
int server_connect(struct ctl *c, struct server **ret, struct err *err) must_check;
/* The same with a complaint: 0 or an exit code. */
int server_open(struct ctl *c, struct server **ret) must_check;
void server_close(struct server *s); /* NULL is allowed */
unsigned server_processes(const struct server *s);
unsigned server_process_of(const struct server *s, struct span user);

typedef void server_result(void *arg, struct span text);
/* One request to a mail process; each(arg, text) for all results but the last. Returns 0 or the
 * error of the last one, with its sentence in *ret_text (valid until the next request). */
int server_ask(struct server *s, unsigned process, const char *verb, struct span args,
               server_result *each, void *arg, struct span *ret_text, int timeout_ms);
enum { SERVER_ANSWER_MS = 10000 };

/* Results that are lists of keys and values (control_args_put) become rows of a table. */
struct table;
int server_ask_table(struct server *s, unsigned process, const char *verb, struct span args,
                     struct table *t, struct span *ret_text);

/* Ends a user's sessions (sessions.c). */
int ctl_kick(struct server *s, const char *whom, uint64_t *ret_count, struct span *why);

/* --- accounts --- */

struct report;

struct access {
    void *ctx;
    /* each(arg, name, id in hexadecimal). */
    int (*accounts)(void *ctx, void (*each)(void *arg, struct span name, struct span id), void *arg,
                    struct err *err);
    /* Does the command for one account and reports it, the end included. */
    void (*run)(void *ctx, const char *account, const char *dir, struct report *r);
    /* Ends its sessions and removes the account with all its mail. */
    int (*discard)(void *ctx, const char *account, struct err *err);
    void (*close)(void *ctx);
};

/* With a complaint: 0 or an exit code. */
int access_open(struct ctl *c, struct access *ret) must_check;
int access_open_local(struct ctl *c, struct access *ret, struct err *err) must_check;
int access_open_server(struct ctl *c, struct server *s, struct access *ret); /* takes s */

/* --- report.c: what is done to accounts, one after the other --- */

struct found {
    const char *kind; /* info, repaired, damage */
    uint64_t mailbox, uid, segment, offset;
    struct span text;
};

void report_begin(struct report *r, const char *account);
void report_found(struct report *r, const struct found *f);
void report_progress(struct report *r, uint64_t done, uint64_t total);
void report_end(struct report *r, int error, struct span text);

#endif
