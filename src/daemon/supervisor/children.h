/* daemon/supervisor/children.h: starting, connecting and restarting the other processes.
 *
 * Every child is a program of its own, started with fork and exec, with one channel to the
 * supervisor. A child that dies is started again, with growing delays, and gets new channels to all
 * its peers, as they get to it.
 *
 * Login processes come in generations: each slot (0 ... login.processes - 1) has one that accepts
 * connections. When that one has nearly served its group (login.group) it says so; a fresh one is
 * started, and when this one is ready the old one retires: it accepts no more and ends with its
 * last connection. A slot has login.generations retired ones at most; beyond that the one with the
 * fewest sessions is ended.
 * One loop thread. */
#ifndef DAEMON_SUPERVISOR_CHILDREN_H
#define DAEMON_SUPERVISOR_CHILDREN_H

#include "conf/conf.h"
#include "daemon/supervisor/sockets.h"
#include "ipc/channel.h"

struct children;

struct children_ops {
    void (*all_ready)(void *arg);    /* once */
    void (*start_failed)(void *arg); /* a child ended before all were ready */
    void (*reloaded)(void *arg);     /* all have taken the new settings */
    void (*all_ended)(void *arg);    /* after children_stop */
};

/* sockets and conf are used until the end, conf until the next children_reload. programs is the
 * directory of the other programs; lock_fd stays open in the mail processes. */
struct children *children_new(struct loop *l, const struct conf *conf, const char *programs,
                              int lock_fd, const struct sockets *sockets,
                              const struct children_ops *ops, void *arg);
/* Starts everything. */
int children_start(struct children *c, struct err *err) must_check;
/* New settings for all; `reloaded` follows. */
void children_reload(struct children *c, const struct conf *conf);
/* A listening socket has come, or is to go. */
void children_listen(struct children *c, const struct listening *l);
void children_unlisten(struct children *c, const struct listening *l);
/* A connected socket for log lines, for all processes (log_socket_open); taken. */
void children_log_to(struct children *c, int fd);
/* Tells all to end; kills what has not ended after KILL_AFTER_MS. */
void children_stop(struct children *c);
/* On SIGCHLD. */
void children_reap(struct children *c);
void children_free(struct children *c);

/* 0 in the settings: by the number of CPUs. */
unsigned children_process_count(uint64_t configured);

#endif
