/* imap/url_data.h: what an IMAP URL points to, for CATENATE (RFC 4469) and URLFETCH (RFC 4467).
 *
 * Opening finds the message and the bytes of the section; these are then read in slices, outside of
 * any snapshot. Nothing is marked as seen. */
#ifndef IMAP_URL_DATA_H
#define IMAP_URL_DATA_H

#include "imap/fetch.h"
#include "imap/place.h"
#include "wire/url.h"

struct url_data {
    struct account *account; /* counted */
    uint64_t message_id;
    struct message_access access;
    uint64_t offset, length; /* of the bytes that are meant, PARTIAL considered */
    struct buf fields;       /* chosen header fields; else the bytes are the message's */
    bool chosen;
    struct buf structure;  /* url_data_structure */
    bool whole;            /* BODY[] of the message */
    struct mime_part part; /* that the section names */
    bool is_part;          /* all of a MIME part's body, or of the message */
};

/* Where a URL's mailbox is, as this session's user names it. ERR_NOT_FOUND, ERR_INVALID: that
 * cannot be a name; ERR_AGAIN as place_of. */
int url_place(struct task *t, const struct imap_url *url, struct place *ret) must_check;
/* The mailbox there. ERR_NOT_FOUND: none, or its UIDVALIDITY is another one. */
int url_mailbox_find(struct snap *snap, const struct place *place, const struct imap_url *url,
                     struct mailbox_info *ret) must_check;
/* The same, if this session's user may read it; else ERR_NOT_FOUND. */
int url_mailbox_readable(struct session *s, struct snap *snap, const struct place *place,
                         const struct imap_url *url, struct mailbox_info *ret) must_check;
/* The message of that UID in a mailbox of the account. ERR_NOT_FOUND: no such message or part. */
int url_data_open(struct account *account, uint32_t mailbox, const struct imap_url *url,
                  struct url_data *ret) must_check;
/* Its body structure (RFC 5524) into d->structure. */
int url_data_structure(struct url_data *d, const struct imap_url *url) must_check;
void url_data_done(struct url_data *d);
/* The next n bytes from `at` on, counted from the beginning of what is meant. */
int url_data_read(struct url_data *d, uint64_t at, size_t n, struct buf *to) must_check;

#endif
