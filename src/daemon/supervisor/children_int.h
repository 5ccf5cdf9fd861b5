/* daemon/supervisor/children_int.h: what children.c (life) and generations.c (login processes)
 * share. */
#ifndef DAEMON_SUPERVISOR_CHILDREN_INT_H
#define DAEMON_SUPERVISOR_CHILDREN_INT_H

#include "base/logline.h"
#include "daemon/supervisor/children.h"
#include "daemon/supervisor/pages.h"
#include "daemon/supervisor/quarantine.h"
#include "io/loop.h"

enum phase {
    PHASE_SERVING,
    PHASE_LEAVING, /* until its successor is ready */
    PHASE_RETIRED, /* it accepts no more */
    PHASE_ENDING,  /* told to end, alone */
};

struct child {
    struct list link;
    struct children *all;
    enum role role;
    unsigned index;      /* of a login process: its slot */
    uint32_t generation; /* of a login process: how many its slot had before */
    uint32_t serial;     /* its index for its peers */
    pid_t pid;           /* 0: not running */
    struct channel *ch;
    struct page *page; /* what it counts in; NULL: none */
    bool ready;
    bool replacing;     /* another one serves until this one is ready */
    unsigned reloading; /* RELOADs that it has not answered yet */
    bool quiet;         /* it accepts nothing and has greeted everyone: it may be told to end */
    enum phase phase;
    uint32_t connections, sessions; /* of a retired one, as it said */
    uint64_t started_ms;
    unsigned backoff_ms;
    struct loop_timer restart;
};

struct children {
    struct loop *loop;
    const struct conf *conf;
    char *programs;
    int lock_fd;
    const struct sockets *sockets;
    const struct children_ops *ops;
    void *arg;
    struct list list; /* struct child */
    unsigned mail_count;
    uint32_t next_serial;
    bool was_ready, reloading, stopping, told_to_end, ended;
    struct loop_timer quiet_timer, kill_timer;
    struct pages *pages;
    int log_fd; /* -1: standard error */
    struct quarantine quarantine;
    struct worknotes **notes; /* of each mail process, over all its lives */
    int *notes_fd;
};

/* children.c */
void children_check_quiet(struct children *all);
struct child *child_new(struct children *all, enum role role, unsigned index, uint32_t generation);
void child_free(struct child *c);
/* Starts it and gives it all that it needs; on failure it is tried again later. */
void child_launch(struct child *c);
/* Says it to the child, if it runs. */
void child_tell(struct child *c, const struct message *m);
void child_log(enum log_level level, const char *event, const struct child *c, const char *text);

/* generations.c */
void generations_on_full(struct child *c, const struct message *m);
/* A login process is ready: those that it takes the place of retire. */
void generations_on_ready(struct child *c);
/* One that served no more has ended. */
void generations_on_death(struct child *c);
/* login.processes has changed. */
void generations_resize(struct children *all);

#endif
