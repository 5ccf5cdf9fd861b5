/* daemon/skeleton.h: what every process below the supervisor does alike.
 *
 * The supervisor starts a child with a channel as descriptor SUPERVISOR_FD. The child gets its
 * settings, then listening sockets and channels to its peers, then START; when it can serve it
 * calls daemon_ready, which for the first time enters the sandbox (daemon/sandbox.h). On SHUTDOWN,
 * SIGTERM, or the end of the channel (a supervisor that died), `shutdown` is called once and the
 * process ends when it calls daemon_exit, or after SHUTDOWN_LIMIT_MS at the latest. Failure:
 * whatever goes wrong at start is logged and ends the process with code 1. */
#ifndef DAEMON_SKELETON_H
#define DAEMON_SKELETON_H

#include "conf/conf.h"
#include "ipc/channel.h"

enum { SUPERVISOR_FD = 3, SHUTDOWN_LIMIT_MS = 1500 };

struct daemon;

struct daemon_ops {
    /* The callee owns fd. Before start, or, on reload, after it. */
    void (*listener)(struct daemon *d, enum listener_kind kind, uint32_t id, int fd);
    void (*unlisten)(struct daemon *d, uint32_t id); /* may be NULL, like listener */
    /* A channel to another process, at start or when that one was started anew. */
    void (*peer)(struct daemon *d, enum role role, unsigned index, int fd);
    /* Settings, listeners and peers are there. Less than 0 ends the process. */
    int (*start)(struct daemon *d, struct err *err);
    /* New settings are in d->conf; what points into the old ones has to let go of them in this
     * call. */
    void (*reload)(struct daemon *d); /* may be NULL */
    /* Whatever else the supervisor says to this role, also before start; the callee owns fd. */
    void (*message)(struct daemon *d, const struct message *m, int fd); /* may be NULL */
    void (*shutdown)(struct daemon *d);
    /* Files belong to the process's own user: it is confined before `start`, and starts no thread
     * before. Others are when `start` calls daemon_ready, and start no thread before that. */
    bool confine_first;
};

struct daemon {
    struct loop *loop;
    struct conf *conf; /* there from the first callback on */
    enum role role;
    unsigned index, mail_count, generation;
    void *owner;

    /* private */
    const struct daemon_ops *ops;
    struct conf *next_conf; /* between CONFIG and RELOAD */
    struct channel *supervisor;
    struct loop_timer limit;
    bool stopping, failed, confined, sandboxed;
};

/* The whole life of the process; returns its exit code. */
int daemon_run(enum role role, const struct daemon_ops *ops, void *owner);
void daemon_ready(struct daemon *d);
void daemon_tell_supervisor(struct daemon *d, const struct message *m);
void daemon_exit(struct daemon *d);
/* What a process does before anything else; the supervisor too. */
void daemon_prepare(void);
/* Level, format and destination of log lines; the supervisor too. */
void daemon_set_log(const struct conf *c);

#endif
