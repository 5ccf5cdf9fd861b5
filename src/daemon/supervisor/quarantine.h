/* daemon/supervisor/quarantine.h: accounts that crash their mail process.
 *
 * Every mail process has a page in which it notes for whom it works (base/worknote.h). When it
 * crashes, those accounts are suspects; one that is suspected twice within QUARANTINE_WINDOW_MS is
 * refused for the time of mail.quarantine, twice as long with every further crash, up to
 * QUARANTINE_MAX_S. Kept in memory: a restart of all of Martlet forgets it. One thread. */
#ifndef DAEMON_SUPERVISOR_QUARANTINE_H
#define DAEMON_SUPERVISOR_QUARANTINE_H

#include "base/list.h"
#include "base/worknote.h"
#include "ipc/messages.h"

enum {
    QUARANTINE_WINDOW_MS = 3600 * 1000,
    QUARANTINE_MAX_S = 3600,
    QUARANTINE_ACCOUNTS_MAX = 1000
};

struct quarantine {
    struct list suspects; /* the one that crashed last is the first */
    size_t count;
    uint64_t first_s; /* mail.quarantine */
};

void quarantine_init(struct quarantine *q);
void quarantine_done(struct quarantine *q);
/* The process that wrote into w has crashed. */
void quarantine_crashed(struct quarantine *q, struct worknotes *w, uint64_t now_ms);
/* The message for each account that is refused now. */
void quarantine_each(struct quarantine *q, uint64_t now_ms,
                     void (*each)(void *arg, const struct message *m), void *arg);
/* An administrator wants it back. */
void quarantine_release(struct quarantine *q, struct span account);

#endif
