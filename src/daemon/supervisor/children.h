/* daemon/supervisor/children.h: starting, connecting and restarting the other processes.
 *
 * Every child is a program of its own, started with fork and exec, with one channel to the
 * supervisor. A child that dies is started again, with growing delays, and gets new channels to all
 * its peers, as they get to it. One loop thread. */
#ifndef DAEMON_SUPERVISOR_CHILDREN_H
#define DAEMON_SUPERVISOR_CHILDREN_H

#include "conf/conf.h"
#include "ipc/channel.h"

struct children;

struct listening {
    enum listener_kind kind;
    int fd;
    int only_index; /* one mail process only; -1: all */
};

struct children_ops {
    void (*all_ready)(void *arg);    /* once */
    void (*start_failed)(void *arg); /* a child ended before all were ready */
    void (*all_ended)(void *arg);    /* after children_stop */
};

/* listening is kept; conf is used until the next children_reload. programs is the directory of the
 * other programs; lock_fd stays open in the mail processes. */
struct children *children_new(struct loop *l, const struct conf *conf, const char *programs,
                              int lock_fd, const struct listening *listening, size_t count,
                              const struct children_ops *ops, void *arg);
/* Starts everything. */
int children_start(struct children *c, struct err *err) must_check;
void children_reload(struct children *c, const struct conf *conf);
/* Tells all to end; kills what has not ended after KILL_AFTER_MS. */
void children_stop(struct children *c);
/* On SIGCHLD. */
void children_reap(struct children *c);
void children_free(struct children *c);

/* 0 in the settings: by the number of CPUs. */
unsigned children_process_count(uint64_t configured);

#endif
