/* imap/catenate.h: a message made of parts (CATENATE, RFC 4469). */
#ifndef IMAP_CATENATE_H
#define IMAP_CATENATE_H

#include "imap/url_data.h"

struct catenate {
    struct upload *to;
    struct upload **arrived; /* the literals of the command, by index */
    unsigned piece;          /* the next one ... */
    uint64_t at;             /* ... and how much of it is done */
    bool open;               /* source is that of a URL: */
    struct url_data source;
    struct span bad_url; /* the answer is NO [BADURL ...] */
};

/* A slice of the work: 0 when m is complete in c->to, ERR_AGAIN (t->awaits_place: wait
 * for it), ERR_NOT_FOUND with bad_url set,
 * ERR_LIMIT (TOOBIG), or an error of the store. */
int catenate_step(struct task *t, struct catenate *c, const struct append_part *m) must_check;
void catenate_done(struct catenate *c); /* not of what it was given */
enum step task_bad_url(struct task *t, struct span url);

#endif
