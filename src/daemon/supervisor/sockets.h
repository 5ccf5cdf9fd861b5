/* daemon/supervisor/sockets.h: the listening sockets: those that the configuration names, those
 * that systemd hands over (sd_listen_fds(3)), and one a mail process for martletctl.
 *
 * A socket from systemd with FileDescriptorName imap, imaps, lmtp or metrics takes the place of the
 * setting of that kind (imap.listen, ...) as a whole; with another name it takes the place of the
 * one address in the settings that it is bound to. It is never closed while Martlet runs: whoever
 * started Martlet keeps it as well, and a connection that comes between two Martlets waits in it.
 *
 * Ownership: descriptors belong to their struct listening. One thread. */
#ifndef DAEMON_SUPERVISOR_SOCKETS_H
#define DAEMON_SUPERVISOR_SOCKETS_H

#include "base/list.h"
#include "conf/conf.h"
#include "ipc/messages.h"

enum { SOCKETS_MAX = 256 };

struct listening {
    struct list link;
    uint32_t id; /* never used again */
    enum listener_kind kind;
    char *address; /* as in the settings */
    int fd;
    int only_index; /* one mail process only; -1: all */
    bool inherited; /* from systemd */
    bool fresh;     /* opened by sockets_prepare, not yet given to anyone */
    bool wanted;
};

struct sockets {
    struct list all;       /* struct listening */
    struct list strangers; /* from systemd, not yet known what for */
    uint32_t next_id;
    size_t count;
    bool given[LISTENER_KIND_COUNT]; /* systemd decides for this kind */
};

void sockets_init(struct sockets *s);
void sockets_done(struct sockets *s);

/* Takes LISTEN_FDS. To be called before any other descriptor is opened. */
int sockets_inherit(struct sockets *s, struct err *err) must_check;
/* Opens what c names and is not open yet, and marks what c no longer names as unwanted. On failure
 * everything is as before. */
int sockets_prepare(struct sockets *s, const struct conf *c, struct err *err) must_check;
/* dir/control.N for each of n mail processes. */
int sockets_open_control(struct sockets *s, const char *dir, unsigned n,
                         struct err *err) must_check;
/* Closes it. */
void sockets_remove(struct sockets *s, struct listening *l);
/* Sockets from systemd that nothing in the settings uses are logged. */
void sockets_report_unused(struct sockets *s);

#endif
